// The loss of every step against a run of Hugging Face's Trainer with the same initial weights and the same
// order of examples, without dropout.
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "common/base/temporary_folder.h"
#include "tests/worker/training/synthetic_data.h"
#include "worker/training/batches/batches.h"
#include "worker/training/model/parameters.h"

namespace orchestrate::test {
namespace {

constexpr std::int64_t kRows = 800;  // 50 steps of 16 examples

JobConfig job() {
    JobConfig config = synthetic_job();
    ModelConfig& model = config.model;
    model.hidden_size = model.head_width = 64;
    model.intermediate_size = 128;
    model.num_attention_heads = 4;
    model.head_activation = Activation::tanh;  // as RobertaClassificationHead's
    model.hidden_dropout_prob = model.attention_probs_dropout_prob = model.classifier_dropout = 0;
    config.train.epochs = 1;
    config.train.batch_size = 16;
    config.train.learning_rate = 1e-3;
    config.train.weight_decay = 0.01;
    config.train.warmup_ratio = 0.1;
    config.train.max_grad_norm = 1;
    return config;
}

class HuggingFaceTrainer : public testing::Test {
  protected:
    void SetUp() override {
        if (!std::filesystem::exists(ORCHESTRATE_PEERS_PYTHON)) {
            GTEST_SKIP() << "skipped: no .deps/peers (" ORCHESTRATE_PEERS_PYTHON ")";
        }
        at::set_num_threads(1);
    }

    // Largest difference between the losses of the two. `arguments`: of transformers' TrainingArguments, besides
    // those that follow from the configuration.
    void compare(const JobConfig& config, std::int64_t accumulation,
                 const std::vector<double>& class_weights) {
        write_weights(config);
        Json arguments{
            {"per_device_train_batch_size", config.train.batch_size / accumulation},
            {"gradient_accumulation_steps", accumulation},
            {"learning_rate", config.train.learning_rate},
            {"lr_scheduler_type", config.train.learning_rate_schedule == LearningRateSchedule::constant
                                      ? "constant_with_warmup"
                                      : to_string(config.train.learning_rate_schedule)},
            {"warmup_steps", config.train.warmup_ratio},
            {"weight_decay", config.train.weight_decay},
            {"max_grad_norm", config.train.max_grad_norm},
            {"label_smoothing_factor", config.train.label_smoothing},
        };
        Json examples = Json::array();
        for (const std::int64_t row : epoch_order(kRows, config.seed.data_order, 1)) {
            const auto tokens = data_.train.tokens(row);
            examples.push_back({{"ids", std::vector<std::int32_t>(tokens.begin(), tokens.end())},
                                {"label", data_.train.label[static_cast<std::size_t>(row)]}});
        }
        const ModelConfig& model = config.model;
        Json roberta{{"vocab_size", data_.vocabulary_size},
                     {"num_labels", data_.classes.size()},
                     {"type_vocab_size", 1},
                     {"hidden_size", model.hidden_size},
                     {"num_hidden_layers", model.num_hidden_layers},
                     {"num_attention_heads", model.num_attention_heads},
                     {"intermediate_size", model.intermediate_size},
                     {"max_position_embeddings", model.max_position_embeddings},
                     {"layer_norm_eps", model.layer_norm_eps},
                     {"hidden_dropout_prob", 0},
                     {"attention_probs_dropout_prob", 0},
                     {"pad_token_id", data_.special.pad}};
        std::ofstream(folder_ / "job.json") << Json{{"model", roberta},
                                                    {"arguments", arguments},
                                                    {"examples", examples},
                                                    {"parameters", parameters_},
                                                    {"class_weights", class_weights},
                                                    {"optimizer", to_string(config.train.optimizer)}};
        const std::string command = "OMP_NUM_THREADS=1 '" ORCHESTRATE_PEERS_PYTHON
                                    "' '" ORCHESTRATE_SOURCE_DIR
                                    "/tests/worker/training/hugging_face_trainer.py' '" +
                                    folder_.string() + "' > '" + (folder_ / "log").string() + "' 2>&1";
        if (std::system(command.c_str()) != 0) {
            std::cerr << std::ifstream(folder_ / "log").rdbuf();
            FAIL() << "Hugging Face's Trainer has failed";
        }
        const auto theirs = Json::parse(std::ifstream(folder_ / "losses.json")).get<std::vector<double>>();
        ASSERT_EQ(theirs.size(), 50U);
        SingleRank alone;
        for (const std::int64_t micro_batch : {0, 5}) {
            const TrainingRun ours = run_job(config, data_, alone, {.micro_batch = micro_batch});
            const double difference = largest_difference(ours.losses, theirs);
            std::cout << "micro-batch " << micro_batch << ": largest difference of 50 losses " << difference
                      << "; from " << theirs.front() << " to " << theirs.back() << std::endl;
            EXPECT_LT(difference, 1e-5);
            EXPECT_LT(theirs.back(), 0.8 * theirs.front()) << "nothing was learned, so little was compared";
        }
    }

    // Our initial weights as the full tensors that Hugging Face has; rows that no text uses are 0.
    void write_weights(const JobConfig& config) {
        const CompactVocabulary vocabulary = CompactVocabulary::of(data_);
        ModelDimensions dimensions;
        dimensions.config = config.model;
        dimensions.classes = static_cast<std::int64_t>(data_.classes.size());
        dimensions.vocabulary_size = data_.vocabulary_size;
        dimensions.vocabulary_rows = vocabulary.original_id;
        dimensions.pad_token = data_.special.pad;
        dimensions.positions = data_.report.longest_text_tokens;
        Parameters parameters(dimensions, at::kCPU);
        parameters.initialize(config.seed.initialization);
        std::ofstream file(folder_ / "weights.bin", std::ios::binary);
        parameters_ = Json::array();
        const ParameterNames names = ParameterNames::of(config.model.model_type);
        for (const Parameter& parameter : parameters.list()) {
            at::Tensor value = parameters.value(parameter);
            if (parameter.name == names.word_embeddings()) {
                value = at::zeros({data_.vocabulary_size, config.model.hidden_size})
                            .index_copy(0, at::tensor(vocabulary.original_id), value);
            } else if (parameter.name == names.position_embeddings()) {
                const at::Tensor used = value;
                value = at::zeros({config.model.max_position_embeddings, config.model.hidden_size});
                value.narrow(0, dimensions.first_position(), used.size(0)).copy_(used);
            }
            parameters_.push_back({{"name", parameter.name}, {"shape", value.sizes().vec()}});
            file.write(
                reinterpret_cast<const char*>(value.contiguous().const_data_ptr<float>()),
                static_cast<std::streamsize>(value.numel() * static_cast<std::int64_t>(sizeof(float))));
        }
    }

    PreparedData data_ = synthetic_data(kRows);
    TemporaryFolder parent_;
    std::filesystem::path folder_ = parent_.path();
    Json parameters_;
};

TEST_F(HuggingFaceTrainer, AdamWWithWarmUpLinearScheduleAndClippingHasTheSameLosses) {
    compare(job(), 1, {});
}

TEST_F(HuggingFaceTrainer, CosineScheduleLabelSmoothingAndAccumulationHaveTheSameLosses) {
    JobConfig config = job();
    config.train.learning_rate_schedule = LearningRateSchedule::cosine;
    config.train.label_smoothing = 0.1;
    compare(config, 2, {});
}

TEST_F(HuggingFaceTrainer, AdamDecayOfEverythingAndClassWeightsHaveTheSameLosses) {
    JobConfig config = job();
    config.train.learning_rate_schedule = LearningRateSchedule::constant;
    config.train.optimizer = Optimizer::adam;
    config.train.decay_biases_and_norms = true;
    config.train.class_weights = ClassWeighting::balanced;
    for (std::size_t row = 0; row < data_.train.label.size(); row += 2) {
        data_.train.label[row] = std::min(data_.train.label[row], 1);  // half of the third class
    }
    std::vector<double> rows(data_.classes.size(), 0.0);
    for (const std::int32_t label : data_.train.label) {
        ++rows[static_cast<std::size_t>(label)];
    }
    std::vector<double> weights;
    for (const double count : rows) {
        weights.push_back(static_cast<double>(kRows) / (static_cast<double>(rows.size()) * count));
    }
    compare(config, 1, weights);
}

}  // namespace
}  // namespace orchestrate::test
