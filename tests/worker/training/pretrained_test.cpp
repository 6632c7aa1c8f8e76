// Hugging Face folders: what is in them is loaded, and whatever is not understood is refused by file and name.
#include <filesystem>
#include <fstream>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/error.h"
#include "common/base/temporary_folder.h"
#include "tests/worker/training/model_folder.h"
#include "tests/worker/training/synthetic_data.h"
#include "worker/training/loop/unit_scores.h"
#include "worker/training/model/pretrained_parameters.h"

namespace orchestrate::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::shared_ptr<const PretrainedWeights> load(const ModelFolder& folder) {
    folder.write();
    return load_pretrained_weights(folder.path, sha256_hex_of_pretrained(folder.path));
}

std::string error_of(const std::filesystem::path& folder) {
    try {
        load_pretrained_weights(folder, "");
    } catch (const UserError& error) {
        return error.what();
    }
    return "no error";
}

class PretrainedTest : public testing::TestWithParam<const char*> {
  protected:
    std::string prefix() const { return std::string(GetParam()) + "."; }
    std::string error() const {
        folder_.write();
        return error_of(folder_.path);
    }

    TemporaryFolder parent_;
    ModelFolder folder_{parent_.path() / "model", GetParam(), 3};
};

TEST_P(PretrainedTest, AClassifierIsLoadedWhole) {
    const auto weights = load(folder_);
    EXPECT_THAT(weights->ignored, IsEmpty());
    ASSERT_EQ(weights->tensors.size(), folder_.tensors.size());
    for (const auto& [name, tensor] : folder_.tensors) {
        EXPECT_EQ(weights->tensors.at(name).shape, tensor.shape) << name;
        EXPECT_EQ(weights->tensors.at(name).values, tensor.floats()) << name;
    }
    EXPECT_EQ(weights->config.vocabulary_size, 60);
    EXPECT_EQ(weights->config.model.head_width, 32);
    EXPECT_EQ(weights->config.model.head_activation, Activation::tanh);
    EXPECT_EQ(weights->config.model.classifier_dropout, 0.1);
}

TEST_P(PretrainedTest, ABareEncoderOfAnyTypeOfNumberIsLoaded) {
    const auto whole = load(folder_);
    auto changed = folder_.tensors;
    folder_.tensors.clear();
    std::size_t index = 0;
    for (auto& [name, tensor] : changed) {
        if (!name.starts_with(prefix()) || name.find("pooler") != std::string::npos) {
            continue;
        }
        if (++index % 2 == 0) {  // every other tensor in double precision
            const auto floats = tensor.floats();
            const std::vector<double> doubles(floats.begin(), floats.end());
            const auto bytes = std::as_bytes(std::span(doubles));
            tensor = {"F64", tensor.shape, {bytes.begin(), bytes.end()}};
        }
        folder_.tensors.emplace(name.substr(prefix().size()), tensor);
    }
    folder_.rename("embeddings.LayerNorm.weight", "embeddings.LayerNorm.gamma");
    folder_.tensors["embeddings.position_ids"] = {"I64", {1, 1}, std::vector<std::byte>(8)};
    const auto bare = load(folder_);
    EXPECT_THAT(bare->ignored, ElementsAre("embeddings.position_ids"));
    for (const auto& [name, tensor] : bare->tensors) {
        EXPECT_EQ(tensor.values, whole->tensors.at(name).values) << name;
    }
    EXPECT_EQ(bare->tensors.size(), whole->tensors.size() - 4);  // the head is missing
}

TEST_P(PretrainedTest, ShardsAreLoadedAsTheirIndexSays) {
    const auto whole = load(folder_);
    std::filesystem::remove(folder_.path / "model.safetensors");
    std::map<std::string, SafeTensor> shards[2];
    Json map = Json::object();
    for (const auto& [name, tensor] : folder_.tensors) {
        const std::size_t shard = map.size() % 2;
        shards[shard].emplace(name, tensor);
        map[name] = "part-" + std::to_string(shard) + ".safetensors";
    }
    const std::string first = folder_.tensors.begin()->first;
    const auto write = [&](const Json& weight_map) {
        for (std::size_t shard = 0; shard < 2; ++shard) {
            write_tensors(folder_.path / ("part-" + std::to_string(shard) + ".safetensors"), shards[shard]);
        }
        std::ofstream(folder_.path / "model.safetensors.index.json") << Json{{"weight_map", weight_map}};
    };
    write(map);
    const std::string sha256 = sha256_hex_of_pretrained(folder_.path);
    const auto sharded = load_pretrained_weights(folder_.path, sha256);
    for (const auto& [name, tensor] : whole->tensors) {
        EXPECT_EQ(sharded->tensors.at(name).values, tensor.values) << name;
    }
    shards[1].begin()->second.bytes[0] ^= std::byte{1};
    write(map);
    EXPECT_NE(sha256_hex_of_pretrained(folder_.path), sha256);
    EXPECT_THROW(load_pretrained_weights(folder_.path, sha256), UserError);

    Json wrong = map;
    wrong[first] = "part-1.safetensors";
    write(wrong);
    EXPECT_THAT(error_of(folder_.path), AllOf(HasSubstr("part-0.safetensors"), HasSubstr(first)));
    wrong.erase(first);
    write(wrong);
    EXPECT_THAT(error_of(folder_.path), AllOf(HasSubstr("part-0.safetensors"), HasSubstr(first)));
    wrong = map;
    wrong["ghost"] = "part-0.safetensors";
    write(wrong);
    EXPECT_THAT(error_of(folder_.path),
                AllOf(HasSubstr("part-0.safetensors"), HasSubstr("'ghost' is missing")));
    wrong = map;
    wrong[first] = "../part-0.safetensors";
    write(wrong);
    EXPECT_THAT(error_of(folder_.path), HasSubstr("expected a file in the same folder"));
    wrong[first] = "part-2.safetensors";
    write(wrong);
    EXPECT_THAT(error_of(folder_.path), HasSubstr("'part-2.safetensors', which does not exist"));
    write(map);
    folder_.write();
    EXPECT_THAT(error_of(folder_.path), HasSubstr("both model.safetensors and"));
}

TEST_P(PretrainedTest, NoTensorIsSkippedInSilence) {
    const std::string norm = prefix() + "embeddings.LayerNorm.weight";
    const SafeTensor kept = folder_.tensors.at(norm);
    folder_.tensors.erase(norm);
    EXPECT_THAT(error(), AllOf(HasSubstr("lack the tensor '" + norm + "'"), HasSubstr("[32]")));
    folder_.tensors[norm] = float_tensor({31}, 1);
    EXPECT_THAT(error(),
                AllOf(HasSubstr("model.safetensors"), HasSubstr(norm), HasSubstr("[31], expected [32]")));
    folder_.tensors[norm] = {"I64", {32}, std::vector<std::byte>(256)};
    EXPECT_THAT(error(), AllOf(HasSubstr(norm), HasSubstr("I64")));
    folder_.tensors[norm] = kept;
    folder_.tensors["embeddings.LayerNorm.weight"] = kept;
    EXPECT_THAT(error(), HasSubstr("is there twice"));
    folder_.tensors.erase("embeddings.LayerNorm.weight");
    for (const std::string unknown :
         {"qa_outputs.weight", "encoder.layer.2.output.dense.bias", "adapter.0"}) {
        folder_.tensors[unknown] = float_tensor({2}, 1);
        EXPECT_THAT(error(), AllOf(HasSubstr("'" + unknown + "'"), HasSubstr("would be left out")));
        folder_.tensors.erase(unknown);
    }
    EXPECT_EQ(error(), "no error");
    EXPECT_THAT(error_of("/nowhere"), HasSubstr("'/nowhere' is no folder"));
    std::filesystem::remove(folder_.path / "model.safetensors");
    std::ofstream(folder_.path / "pytorch_model.bin") << "x";
    EXPECT_THAT(error_of(folder_.path), HasSubstr("pytorch_model.bin is not read"));
}

TEST_P(PretrainedTest, KeysOfTheConfigurationThatAreNotHonouredAreRefused) {
    const Json good = folder_.config;
    const std::vector<std::pair<std::string, Json>> wrong = {
        {"hidden_act", "gelu_new"},
        {"hidden_act", "relu"},
        {"position_embedding_type", "relative_key"},
        {"is_decoder", true},
        {"add_cross_attention", true},
        {"is_encoder_decoder", true},
        {"pruned_heads", {{"0", {1}}}},
        {"quantization_config", {{"bits", 4}}},
        {"model_type", "xlm-roberta"},
        {"model_type", 3},
        {"hidden_size", 0},
        {"hidden_size", 32.5},
        {"hidden_size", "32"},
        {"num_attention_heads", 5},
        {"num_hidden_layers", -1},
        {"vocab_size", 1e30},
        {"vocab_size", 18446744073709551615ULL},
        {"pad_token_id", 60},
        {"max_position_embeddings", 0},
        {"layer_norm_eps", 0},
        {"hidden_dropout_prob", 1},
        {"id2label", {{"0", "a"}, {"2", "b"}}},
        {"id2label", {"a"}},
        {"rope_theta", 10000},
        {"orchestrate", 1},
        {"orchestrate", {{"heads", 2}}},
        {"orchestrate", {{"head_activation", "swish"}}},
    };
    for (const auto& [key, value] : wrong) {
        folder_.config = good;
        folder_.config[key] = value;
        EXPECT_THAT(error(), HasSubstr("config.json': " + key)) << key << value;
    }
    for (const std::string key : {"model_type", "hidden_size", "vocab_size", "max_position_embeddings"}) {
        folder_.config = good;
        folder_.config.erase(key);
        EXPECT_THAT(error(), HasSubstr(key + " is missing"));
    }
    folder_.config = good;
    folder_.config["classifier_dropout"] = nullptr;
    folder_.config["position_embedding_type"] = "absolute";
    folder_.config["id2label"] = {{"0", "LABEL_0"}, {"1", "LABEL_1"}, {"2", "LABEL_2"}};
    EXPECT_EQ(error(), "no error");
    std::ofstream(folder_.path / "config.json") << R"({"model_type":"bert","model_type":"roberta"})";
    EXPECT_THAT(error_of(folder_.path), HasSubstr("'model_type' stands twice"));
    std::ofstream(folder_.path / "config.json") << "{";
    EXPECT_THAT(error_of(folder_.path), HasSubstr("no valid JSON"));
}

// The compact embeddings hold the rows of the whole ones.
TEST_P(PretrainedTest, ParametersAreFilled) {
    const auto weights = load(folder_);
    ModelDimensions dimensions;
    dimensions.config = weights->config.model;
    dimensions.classes = 3;
    dimensions.vocabulary_size = 60;
    dimensions.vocabulary_rows = {0, 2, 59};
    dimensions.pad_token = 1;
    dimensions.positions = 4;
    dimensions.token_types = weights->config.token_types;
    Parameters parameters(dimensions, at::kCPU);
    const auto log = fill_from_pretrained(parameters, *weights, {"a", "b", "c"}, /*seed=*/5);
    EXPECT_EQ(log.size(), 1U) << log.back();
    const ParameterNames names = ParameterNames::of(dimensions.config.model_type);
    for (const Parameter& parameter : parameters.list()) {
        const at::Tensor whole = at::tensor(at::ArrayRef<float>(folder_.tensors.at(parameter.name).floats()))
                                     .view(folder_.tensors.at(parameter.name).shape);
        at::Tensor expected = whole;
        if (parameter.name == names.word_embeddings()) {
            expected = whole.index_select(0, at::tensor({0, 2, 59}));
        } else if (parameter.name == names.position_embeddings()) {
            expected = whole.narrow(0, dimensions.first_position(), 4);
        }
        EXPECT_TRUE(at::equal(parameters.value(parameter), expected)) << parameter.name;
    }
}

TEST_P(PretrainedTest, AHeadOfOtherClassesIsMadeAfresh) {
    folder_.config["id2label"] = {{"0", "a"}, {"1", "b"}, {"2", "c"}};
    const auto weights = load(folder_);
    ModelDimensions dimensions;
    dimensions.config = weights->config.model;
    dimensions.vocabulary_size = 60;
    dimensions.vocabulary_rows = {0};
    dimensions.positions = 1;
    dimensions.token_types = weights->config.token_types;
    const std::string output = ParameterNames::of(dimensions.config.model_type).output;
    for (const std::vector<std::string>& classes :
         {std::vector<std::string>{"a", "b", "c"}, {"a", "b", "d"}, {"a", "b"}}) {
        dimensions.classes = static_cast<std::int64_t>(classes.size());
        Parameters parameters(dimensions, at::kCPU);
        const auto log = fill_from_pretrained(parameters, *weights, classes, /*seed=*/5);
        const bool same = classes.back() == "c";
        EXPECT_EQ(log.size(), same ? 1U : 2U);
        EXPECT_EQ(log.front().find("fresh: " + output + ".weight, " + output + ".bias") == std::string::npos,
                  same);
        Parameters drawn(dimensions, at::kCPU);
        drawn.initialize(5);
        EXPECT_EQ(at::equal(parameters.leaf(output + ".weight"), drawn.leaf(output + ".weight")), !same);
    }
}

TEST_P(PretrainedTest, TrainingStartsFromTheWeights) {
    SingleRank collective;
    const PreparedData data = synthetic_data(kTrainRows);
    JobConfig config = synthetic_job();
    config.model.model_type = *enum_from_name<ModelType>(GetParam());
    config.model.head_width = 32;
    config.train.epochs = 2;
    const auto scratch = run_job(config, data, collective);
    const auto weights = load(folder_);
    RunOptions options;
    options.pretrained = weights.get();
    const auto pretrained = run_job(config, data, collective, options);
    ASSERT_EQ(pretrained.outcome.cause, Cause::succeeded) << pretrained.outcome.message;
    EXPECT_NE(pretrained.losses, scratch.losses);
    config.seed.initialization += 1;  // nothing is drawn: the head is in the weights
    EXPECT_EQ(run_job(config, data, collective, options).losses, pretrained.losses);

    config.model.num_hidden_layers = 3;
    EXPECT_THROW(run_job(config, data, collective, options), UserError);
    config.model.num_hidden_layers = 2;
    PreparedData larger = data;
    larger.vocabulary_size = 61;
    try {
        run_job(config, larger, collective, options);
        ADD_FAILURE() << "a vocabulary that is larger than the model's was taken";
    } catch (const UserError& error) {
        EXPECT_THAT(error.what(), AllOf(HasSubstr("61 tokens"), HasSubstr("vocab_size = 60")));
    }
}

// Of a job that starts from weights, units are chosen by what they do with those weights.
TEST_P(PretrainedTest, UnitsAreScoredAtTheWeights) {
    SingleRank alone;
    const PreparedData data = synthetic_data(kTrainRows);
    const auto weights = load(folder_);
    JobConfig config = synthetic_job();
    config.model.model_type = *enum_from_name<ModelType>(GetParam());
    config.model.head_width = 32;
    config.train.epochs = 2;
    config.model.attention_head_mask = {{}, 0.5, UnitChoice::lowest_gradient, 0};
    config.model.feed_forward_mask = {{}, 0.25, UnitChoice::lowest_activation, 0};
    config.model.classifier_mask = {{}, 0.25, UnitChoice::lowest_gradient, 0};
    RunOptions options;
    options.pretrained = weights.get();
    const TrainingRun run = run_job(config, data, alone, options);
    ASSERT_EQ(run.outcome.cause, Cause::succeeded) << run.outcome.message;

    const auto masks_at = [&](const std::function<void(Parameters&)>& set) {
        const CompactVocabulary vocabulary = CompactVocabulary::of(data);
        ModelDimensions dimensions;
        dimensions.config = config.model;
        dimensions.classes = kClasses;
        dimensions.vocabulary_size = 60;
        dimensions.vocabulary_rows = vocabulary.original_id;
        dimensions.positions = data.report.longest_text_tokens;
        dimensions.token_types = weights->config.token_types;
        Parameters parameters(dimensions, at::kCPU);
        set(parameters);
        EncoderClassifier model(parameters, Operations(at::kCPU, true));
        const TrainingDevice device = cpu_device();
        SilentObserver observer;
        const std::atomic<bool> stop{false};
        const TrainerInputs inputs{config, data, device, alone, observer, stop};
        const TrainingLoss loss(config.train, data.train, data.classes.size(), at::kCPU);
        return describe(config.model, choose_masked_units(model, inputs, vocabulary, loss));
    };
    const auto expected = masks_at(
        [&](Parameters& parameters) { fill_from_pretrained(parameters, *weights, data.classes, 5); });
    const auto at_initial_weights =
        masks_at([&](Parameters& parameters) { parameters.initialize(config.seed.initialization); });
    EXPECT_FALSE(expected.empty());
    EXPECT_NE(expected, at_initial_weights);
    for (const std::string& line : expected) {
        EXPECT_THAT(run.log, testing::Contains(line));
    }
    // And then it trains as every other job.
    options.use_libtorch_kernels = true;
    EXPECT_LT(largest_difference(run.losses, run_job(config, data, alone, options).losses), 1e-5);
    options.use_libtorch_kernels = false;
    options.micro_batch = 3;
    EXPECT_LT(largest_difference(run.losses, run_job(config, data, alone, options).losses), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Types, PretrainedTest, testing::Values("roberta", "bert"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace orchestrate::test
