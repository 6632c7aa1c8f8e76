// What a training must not depend on, and how it ends.
#include <cmath>

#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/error.h"
#include "losses.h"
#include "tests/worker/training/synthetic_data.h"

namespace orchestrate::test {
namespace {

using testing::HasSubstr;

class TrainerTest : public testing::Test {
  protected:
    void SetUp() override { at::set_num_threads(1); }
    void TearDown() override { at::set_num_threads(1); }

    TrainingRun run(const RunOptions& options = {}) { return run_job(config_, data_, collective_, options); }

    PreparedData data_ = synthetic_data(kTrainRows);
    JobConfig config_ = synthetic_job();
    SingleRank collective_;
};

TEST_F(TrainerTest, LearnsAndReportsEverything) {
    const TrainingRun result = run();
    ASSERT_EQ(result.outcome.cause, Cause::succeeded) << result.outcome.message;
    ASSERT_EQ(result.losses.size(), static_cast<std::size_t>(kSteps));
    ASSERT_EQ(result.epochs.size(), 17U);
    EXPECT_LT(result.epochs.back().train_loss, 0.6 * result.epochs.front().train_loss);
    const AttemptResult& report = result.outcome.result;
    EXPECT_EQ(report.classes, data_.classes);
    EXPECT_EQ(report.metrics.size(), 2 * training_metrics().size());
    EXPECT_EQ(report.test_predictions.row, data_.test.line);
    EXPECT_EQ(report.test_predictions.true_class, data_.test.label);
    std::int64_t counted = 0;
    std::int64_t right = 0;
    for (const auto& cell : report.test_confusion) {
        counted += cell.count;
        right += cell.true_class == cell.predicted_class ? cell.count : 0;
    }
    EXPECT_EQ(counted, data_.test.rows());
    EXPECT_DOUBLE_EQ(find_metric(report.metrics, {MetricPart::test, "accuracy"}).value(),
                     static_cast<double>(right) / static_cast<double>(counted));
    // Embeddings (60 words, 40 positions, 1 type) and their norm, 2 layers, head: as transformers counts
    // them.
    const std::int64_t layer = 4 * (32 * 32 + 32) + 2 * 64 + (32 * 48 + 48) + (48 * 32 + 32);
    EXPECT_EQ(report.parameters, (60 + 40 + 1) * 32 + 64 + 2 * layer + (32 * 16 + 16) + (16 * 3 + 3));
}

TEST_F(TrainerTest, TheSelectedEpochIsTheFirstBestOneAndItsWeightsAreEvaluated) {
    config_.train.epoch_selection = EpochSelection::best_validation_loss;
    const TrainingRun best = run();
    const auto lowest = std::min_element(
        best.epochs.begin(), best.epochs.end(),
        [](const auto& a, const auto& b) { return validation_loss(a) < validation_loss(b); });
    EXPECT_EQ(best.outcome.result.selected_epoch, lowest->epoch);
    EXPECT_EQ(validation_loss(best.outcome.result), validation_loss(*lowest));
    // The same job with validation in the place of the test part: its test result is then the validation
    // result.
    data_.test = data_.validation;
    const TrainingRun swapped = run();
    EXPECT_DOUBLE_EQ(test_loss(swapped.outcome.result), validation_loss(*lowest));
}

TEST_F(TrainerTest, TheSameJobGivesTheSameBits) {
    EXPECT_EQ(run().losses, run().losses);
}

TEST_F(TrainerTest, SeedsOfInitialisationAndOrderChangeTheLosses) {
    const auto losses = run().losses;
    config_.seed.initialization += 1;
    EXPECT_GT(largest_difference(losses, run().losses), 1e-3);
    config_ = synthetic_job();
    config_.seed.data_order += 1;
    EXPECT_GT(largest_difference(losses, run().losses), 1e-3);
}

TEST_F(TrainerTest, DropoutChangesTheLosses) {
    const auto losses = run().losses;
    config_.model.hidden_dropout_prob = 0;
    EXPECT_GT(largest_difference(losses, run().losses), 1e-3);
}

TEST_F(TrainerTest, MicroBatchesGiveTheSameLosses) {
    EXPECT_LT(largest_difference(run().losses, run({.micro_batch = 3}).losses), 1e-5);
}

TEST_F(TrainerTest, MicroBatchesGiveTheSameLossesWithClassWeightsAndLabelSmoothing) {
    const auto plain = run().losses;
    config_.train.class_weights = ClassWeighting::balanced;
    config_.train.label_smoothing = 0.1;
    const auto whole = run().losses;
    EXPECT_GT(largest_difference(plain, whole), 1e-3);
    EXPECT_LT(largest_difference(whole, run({.micro_batch = 3}).losses), 1e-5);
}

TEST_F(TrainerTest, OptimisersAndDecayChangeTheLosses) {
    config_.train.weight_decay = 0.3;
    const auto losses = run().losses;
    config_.train.optimizer = Optimizer::adam;
    EXPECT_GT(largest_difference(losses, run().losses), 1e-3);
    config_.train.optimizer = Optimizer::adamw;
    config_.train.decay_biases_and_norms = true;
    EXPECT_GT(largest_difference(losses, run().losses), 1e-4);
}

TEST_F(TrainerTest, ThreadsGiveTheSameLosses) {
    const auto one = run().losses;
    at::set_num_threads(3);
    EXPECT_LT(largest_difference(one, run().losses), 1e-5);
}

TEST_F(TrainerTest, OurKernelsAndLibTorchsGiveTheSameLossesWithDropout) {
    EXPECT_LT(largest_difference(run().losses, run({.use_libtorch_kernels = true}).losses), 1e-5);
}

// Operands have 8 bits: losses stay within 2 % of those of fp32.
TEST_F(TrainerTest, Bf16ProductsGiveNearlyTheSameLosses) {
    if (!cpu_device().computes_bf16) {
        GTEST_SKIP() << "skipped: this CPU has no AVX512_BF16";
    }
    const auto full = run().losses;
    config_.train.precision = Precision::bf16;
    const auto reduced = run().losses;
    EXPECT_GT(largest_difference(full, reduced), 1e-6);
    EXPECT_LT(largest_difference(full, reduced), 0.02);
    EXPECT_EQ(reduced, run().losses);
    EXPECT_LT(largest_difference(reduced, run({.use_libtorch_kernels = true}).losses), 0.02);
    at::set_num_threads(3);
    EXPECT_LT(largest_difference(reduced, run().losses), 0.02);
}

TEST_F(TrainerTest, ADeviceWithoutBf16RefusesIt) {
    TrainingDevice device = cpu_device();
    device.computes_bf16 = false;
    config_.train.precision = Precision::bf16;
    SilentObserver observer;
    const std::atomic<bool> stop{false};
    const TrainerInputs inputs{config_, data_, device, collective_, observer, stop};
    try {
        train(inputs);
        FAIL() << "trained";
    } catch (const UserError& error) {
        EXPECT_THAT(error.what(), HasSubstr("train.precision = \"bf16\""));
        EXPECT_THAT(error.what(), HasSubstr(device.device_class));
    }
}

TEST_F(TrainerTest, WordsThatNoTextUsesDoNotChangeTheLosses) {
    const auto losses = run().losses;
    data_.vocabulary_size += 1000;
    EXPECT_EQ(losses, run().losses);
}

TEST_F(TrainerTest, EveryHeadTrains) {
    for (const Activation activation :
         {Activation::relu, Activation::tanh, Activation::sigmoid, Activation::gelu}) {
        config_.model.head_activation = activation;
        EXPECT_EQ(run().outcome.cause, Cause::succeeded) << to_string(activation);
    }
    config_.model.head_width = 0;
    const TrainingRun result = run();
    EXPECT_EQ(result.outcome.cause, Cause::succeeded);
    EXPECT_LT(result.epochs.back().train_loss, 0.6 * result.epochs.front().train_loss);
}

TEST_F(TrainerTest, BertTrainsWithAndWithoutItsPooler) {
    config_.model.model_type = ModelType::bert;
    config_.model.head_activation = Activation::tanh;
    config_.model.max_position_embeddings = 15;  // the longest text: positions count from 0
    for (const std::int64_t head_width : {32, 16, 0}) {
        config_.model.head_width = head_width;
        const TrainingRun result = run();
        ASSERT_EQ(result.outcome.cause, Cause::succeeded) << result.outcome.message;
        EXPECT_LT(result.epochs.back().train_loss, 0.6 * result.epochs.front().train_loss) << head_width;
        const TrainingRun composite = run({.use_libtorch_kernels = true});
        EXPECT_LT(largest_difference(result.losses, composite.losses), 1e-5) << head_width;
    }
}

TEST_F(TrainerTest, AnExplodingLossEndsAsDiverged) {
    config_.train.learning_rate = 1e30;
    config_.train.max_grad_norm = 0;
    const TrainingRun result = run();
    EXPECT_EQ(result.outcome.cause, Cause::diverged);
    EXPECT_THAT(result.outcome.message, HasSubstr("step "));
    EXPECT_LT(result.losses.size(), static_cast<std::size_t>(kSteps));
}

TEST_F(TrainerTest, AWishToStopEndsAsPreemptedWithinOneStep) {
    const TrainingDevice device = cpu_device();
    SilentObserver observer;
    std::atomic<bool> stop{false};
    std::int64_t steps = 0;
    TrainerInputs inputs{config_, data_, device, collective_, observer, stop};
    inputs.on_step = [&](std::int64_t step, double) {
        steps = step;
        stop = step == 5;
    };
    EXPECT_EQ(train(inputs).cause, Cause::preempted);
    EXPECT_EQ(steps, 5);
}

TEST_F(TrainerTest, AConfigurationThatDoesNotFitIsRefused) {
    const auto message = [&] {
        try {
            run();
        } catch (const UserError& error) {
            return std::string(error.what());
        }
        return std::string("no error");
    };
    config_.model.num_attention_heads = 5;
    EXPECT_THAT(message(), HasSubstr("num_attention_heads = 5"));
    config_ = synthetic_job();
    config_.model.max_position_embeddings = 12;
    EXPECT_THAT(message(), HasSubstr("max_position_embeddings = 12"));
    config_ = synthetic_job();
    config_.model.hidden_dropout_prob = 1;
    EXPECT_THAT(message(), HasSubstr("dropout"));
    config_ = synthetic_job();
    data_.classes = {"a"};
    EXPECT_THAT(message(), HasSubstr("at least 2"));
}

}  // namespace
}  // namespace orchestrate::test
