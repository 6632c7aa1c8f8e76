// Trained models in folders: what is read back, by this program and by transformers, gives the same numbers.
#include "worker/training/loop/saved_model.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/error.h"
#include "common/base/temporary_folder.h"
#include "losses.h"
#include "tests/worker/training/model_folder.h"
#include "tests/worker/training/synthetic_data.h"

namespace orchestrate::test {
namespace {

std::shared_ptr<const Tokenizer> some_tokenizer() {
    std::vector<std::string> tokens = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    while (static_cast<std::int64_t>(tokens.size()) < kVocabulary) {
        tokens.push_back("word" + std::to_string(tokens.size()));
    }
    return std::make_shared<const Tokenizer>(WordPiece(tokens));
}

class SavedModelTest : public testing::TestWithParam<ModelType> {
  protected:
    void SetUp() override {
        data_.tokenizer = some_tokenizer();
        config_.model.model_type = GetParam();
        config_.model.head_width = 32;
        config_.model.head_activation = Activation::tanh;
        config_.train.epochs = 3;
        config_.train.learning_rate = 5e-3;
    }

    AttemptResult train_and_save(const RunOptions& given = {}) {
        RunOptions options = given;
        options.models_folder = folder_ / "models";
        const TrainingRun run = run_job(config_, data_, collective_, options);
        EXPECT_EQ(run.outcome.cause, Cause::succeeded) << run.outcome.message;
        EXPECT_TRUE(run.outcome.result.model);
        return run.outcome.result;
    }

    std::shared_ptr<const PretrainedWeights> load(const AttemptResult& result) const {
        return load_pretrained_weights(result.model->folder, result.model->sha256);
    }

    // Test loss of the saved model, as it is.
    double loss_of_saved(const AttemptResult& result) {
        const auto weights = load(result);
        JobConfig config = config_;
        config.model = weights->config.model;
        config.model.hidden_dropout_prob = 0;
        config.train.epochs = 1;
        config.train.learning_rate = 1e-30;
        config.train.weight_decay = 0;
        RunOptions options;
        options.pretrained = weights.get();
        return test_loss(run_job(config, data_, collective_, options).outcome.result);
    }

    // What transformers is to predict, beside the model.
    void write_expected(const AttemptResult& result) const {
        Json texts = Json::array();
        for (std::int64_t row = 0; row < data_.test.rows(); ++row) {
            const auto tokens = data_.test.tokens(row);
            const auto at = static_cast<std::size_t>(row);
            texts.push_back({{"ids", std::vector<std::int32_t>(tokens.begin(), tokens.end())},
                             {"class", result.test_predictions.predicted_class[at]},
                             {"probability", result.test_predictions.probability[at]}});
        }
        std::ofstream(std::filesystem::path(result.model->folder) / "expected.json") << texts;
    }

    TemporaryFolder parent_;
    std::filesystem::path folder_ = parent_.path();
    PreparedData data_ = synthetic_data(kTrainRows);
    JobConfig config_ = synthetic_job();
    SingleRank collective_;
};

TEST_P(SavedModelTest, AFolderIsNamedByItsContentAndHoldsEverything) {
    const AttemptResult result = train_and_save();
    const std::filesystem::path folder = result.model->folder;
    EXPECT_EQ(folder, folder_ / "models" / result.model->sha256);
    EXPECT_EQ(result.model->sha256, sha256_hex_of_pretrained(folder));
    EXPECT_EQ(result.model->bytes,
              static_cast<std::int64_t>(std::filesystem::file_size(folder / "model.safetensors")));
    EXPECT_TRUE(std::filesystem::exists(folder / "vocab.txt"));
    EXPECT_EQ(load(result)->config.classes, data_.classes);
    // The same training gives the same folder; nothing unfinished is left.
    EXPECT_EQ(train_and_save().model->folder, folder);
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_ / "models"), {}), 1);
    std::ofstream(folder_ / "file") << "no folder";
    RunOptions options;
    options.models_folder = folder_ / "file";
    EXPECT_THROW(run_job(config_, data_, collective_, options), UserError);
}

TEST_P(SavedModelTest, EveryAblationIsSavedSoThatItGivesTheSame) {
    const auto check = [&](const std::string& what) {
        const AttemptResult result = train_and_save();
        EXPECT_NEAR(loss_of_saved(result), test_loss(result), 1e-6) << what;
    };
    const ModelConfig plain = config_.model;
    check("plain");
    config_.model.kept_layers = {1};
    check("kept layer");
    config_.model = plain;
    config_.model.position_embeddings = PositionEmbeddings::none;
    check("no positions");
    config_.model = plain;
    config_.model.attention_head_mask.units = {{0, 1}};
    config_.model.feed_forward_mask.share = 0.5;
    config_.model.classifier_mask.share = 0.25;
    check("masks");
    config_.model = plain;
    config_.model.head_width = 16;
    config_.model.head_activation = Activation::relu;
    config_.model.classifier_mask.share = 0.25;
    check("another head");
    config_.model = plain;
    config_.model.head_width = 0;
    check("no hidden layer");
    config_.model = plain;
    config_.model.layer_fusion = LayerFusion::weighted;
    check("weighted fusion");
    config_.model.layer_fusion = LayerFusion::concatenation;
    config_.model.pooling = Pooling::mean;
    check("concatenation");
}

// A text in the test part that uses every word and every position makes the whole tables parameters, which then
// decay in the optimiser.
TEST_P(SavedModelTest, RowsThatNoTextUsesAreSavedAsTrainingWouldHaveLeftThem) {
    const PreparedData plain = data_;
    for (const Optimizer optimizer : {Optimizer::adamw, Optimizer::adam}) {
        for (const bool frozen : {false, true}) {
            config_.train.optimizer = optimizer;
            config_.train.frozen_embeddings = frozen;
            config_.train.weight_decay = 0.3;
            data_ = plain;
            const auto compact = load(train_and_save());
            for (std::int32_t word = 0; word < 38; ++word) {
                data_.test.token_ids.push_back(word);
            }
            data_.test.offsets.push_back(static_cast<std::int64_t>(data_.test.token_ids.size()));
            for (std::int32_t word = 22; word < kVocabulary; ++word) {
                data_.test.token_ids.push_back(word);
            }
            data_.test.offsets.push_back(static_cast<std::int64_t>(data_.test.token_ids.size()));
            data_.test.label.insert(data_.test.label.end(), {0, 0});
            data_.test.line.insert(data_.test.line.end(), {100, 101});
            data_.report.longest_text_tokens = 38;
            const auto whole = load(train_and_save());
            for (const auto& [name, tensor] : whole->tensors) {
                if (name.ends_with("key.bias")) {
                    continue;  // softmax does not see it: rounding alone decides where Adam takes it
                }
                const auto& other = compact->tensors.at(name).values;
                double largest = 0;
                for (std::size_t i = 0; i < tensor.values.size(); ++i) {
                    largest = std::max(largest, std::abs(static_cast<double>(tensor.values[i]) - other[i]));
                }
                EXPECT_LT(largest, 1e-6) << name << ' ' << to_string(optimizer) << (frozen ? " frozen" : "");
            }
        }
    }
}

TEST_P(SavedModelTest, RowsOfPretrainedWeightsAreKept) {
    const ModelFolder base(folder_ / "base", to_string(GetParam()), 3);
    const auto weights = load_pretrained_weights(base.path, "");
    RunOptions options;
    options.pretrained = weights.get();
    const AttemptResult result = train_and_save(options);
    const auto saved = load(result);
    EXPECT_NEAR(loss_of_saved(result), test_loss(result), 1e-6);
    const std::string name = ParameterNames::of(GetParam()).word_embeddings();
    constexpr std::size_t kUnusedWord = 59;
    for (std::size_t i = kUnusedWord * 32; i < (kUnusedWord + 1) * 32; ++i) {
        const float before = weights->tensors.at(name).values[i];
        EXPECT_NEAR(saved->tensors.at(name).values[i], before, 1e-3 * std::abs(before));
        EXPECT_LE(std::abs(saved->tensors.at(name).values[i]), std::abs(before));
    }
}

TEST_P(SavedModelTest, TransformersPredictsTheSame) {
    if (!std::filesystem::exists(ORCHESTRATE_PEERS_PYTHON)) {
        GTEST_SKIP() << "skipped: no .deps/peers: ./setup --peers makes it";
    }
    std::string command = std::string("OMP_NUM_THREADS=1 ") + ORCHESTRATE_PEERS_PYTHON + " " +
                          ORCHESTRATE_SOURCE_DIR + "/tests/peers/same_predictions.py";
    const auto add = [&] {
        const AttemptResult result = train_and_save();
        write_expected(result);
        command += " " + result.model->folder;
    };
    add();
    const ModelConfig plain = config_.model;
    config_.model.kept_layers = {1};
    config_.model.attention_head_mask.share = 0.5;
    config_.model.feed_forward_mask.share = 0.25;
    config_.model.position_embeddings = PositionEmbeddings::none;
    add();
    config_.model = plain;
    config_.model.head_width = 16;
    add();
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
}

INSTANTIATE_TEST_SUITE_P(Types, SavedModelTest, testing::Values(ModelType::roberta, ModelType::bert),
                         [](const auto& test) { return to_string(test.param); });

}  // namespace
}  // namespace orchestrate::test
