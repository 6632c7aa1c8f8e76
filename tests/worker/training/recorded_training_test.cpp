// Training as GPUs do it, on the CPU: padded to few shapes, passes recorded and repeated, losses read later.
#include <cmath>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "losses.h"
#include "tests/worker/training/ablations.h"
#include "tests/worker/training/synthetic_data.h"
#include "tests/worker/training/work_done_again.h"

namespace orchestrate::test {
namespace {

using testing::HasSubstr;

class RecordedTrainingTest : public testing::Test {
  protected:
    void SetUp() override { at::set_num_threads(1); }

    RunOptions recorded() {
        RunOptions options;
        options.use_libtorch_kernels = true;
        options.change_device = [this](TrainingDevice& device) {
            record_by_doing_again(device, counts_);
            device.computes_bf16 = true;
        };
        return options;
    }
    TrainingRun run(const RunOptions& options = {}) { return run_job(config_, data_, collective_, options); }

    RecordedCounts counts_;
    PreparedData data_ = synthetic_data(kTrainRows);
    JobConfig config_ = synthetic_job();
    SingleRank collective_;
};

TEST_F(RecordedTrainingTest, GivesTheLossesOfOurKernels) {
    const TrainingRun ours = run();
    const TrainingRun repeated = run(recorded());
    ASSERT_EQ(repeated.losses.size(), static_cast<std::size_t>(kSteps));
    EXPECT_LT(largest_difference(ours.losses, repeated.losses), 1e-5);
    EXPECT_NEAR(test_loss(ours.outcome.result), test_loss(repeated.outcome.result), 1e-5);
    EXPECT_GE(counts_.recorded, 2);
    EXPECT_GE(counts_.replayed, kSteps * 3 / 2);  // a pass and an update for most steps
}

TEST_F(RecordedTrainingTest, GivesTheSameWithoutRecording) {
    RunOptions plain;
    plain.use_libtorch_kernels = true;
    EXPECT_LT(largest_difference(run(plain).losses, run(recorded()).losses), 1e-5);
}

TEST_F(RecordedTrainingTest, WeighsSmoothsAndCutsAsOurKernels) {
    config_.train.class_weights = ClassWeighting::balanced;
    config_.train.label_smoothing = 0.1;
    config_.train.optimizer = Optimizer::adam;
    RunOptions options = recorded();
    options.micro_batch = 3;
    EXPECT_LT(largest_difference(run().losses, run(options).losses), 1e-5);
}

TEST_F(RecordedTrainingTest, AblatesAsOurKernels) {
    for (const Ablation& ablation : ablations()) {
        config_ = synthetic_job();
        config_.train.epochs = 6;
        ablation.apply(config_);
        EXPECT_LT(largest_difference(run().losses, run(recorded()).losses), 1e-5) << ablation.name;
    }
}

// Of each text: its rows of q, k, v and what is computed from them, [heads, rows, ..].
struct TextParts {
    at::Tensor query, key, value, weights;

    TextParts(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const VariedLengths& lengths,
              std::int64_t text) {
        query = rows(q, lengths.query_begin, text);
        key = rows(k, lengths.key_begin, text);
        value = rows(v, lengths.key_begin, text);
        weights =
            (at::matmul(query, key.transpose(1, 2)) / std::sqrt(static_cast<double>(q.size(2)))).softmax(-1);
    }
    static at::Tensor rows(const at::Tensor& x, const at::Tensor& begin, std::int64_t text) {
        const auto first = begin[text].item<std::int64_t>();
        return x.narrow(0, first, begin[text + 1].item<std::int64_t>() - first)
            .transpose(0, 1)
            .to(at::kFloat);
    }
};

// What a device's flash attention gives, text by text.
FlashResult attention_of_texts(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                               const VariedLengths& lengths) {
    FlashResult result;
    std::vector<at::Tensor> outputs;
    for (std::int64_t text = 0; text + 1 < lengths.query_begin.size(0); ++text) {
        const TextParts parts(query, key, value, lengths, text);
        outputs.push_back(at::matmul(parts.weights, parts.value).transpose(0, 1));
    }
    result.output = at::cat(outputs).to(query.scalar_type());
    return result;
}

FlashGradients gradients_of_texts(const at::Tensor& gradient, const at::Tensor& query, const at::Tensor& key,
                                  const at::Tensor& value, const FlashResult& forward,
                                  const VariedLengths& lengths) {
    EXPECT_EQ(forward.output.sizes(), query.sizes());
    std::vector<at::Tensor> of_query, of_key, of_value;
    for (std::int64_t text = 0; text + 1 < lengths.query_begin.size(0); ++text) {
        const TextParts parts(query, key, value, lengths, text);
        const at::Tensor upstream = TextParts::rows(gradient, lengths.query_begin, text);
        const at::Tensor of_weights = at::matmul(upstream, parts.value.transpose(1, 2));
        const at::Tensor of_scores = parts.weights *
                                     (of_weights - (of_weights * parts.weights).sum(-1, true)) /
                                     std::sqrt(static_cast<double>(query.size(2)));
        of_query.push_back(at::matmul(of_scores, parts.key).transpose(0, 1));
        of_key.push_back(at::matmul(of_scores.transpose(1, 2), parts.query).transpose(0, 1));
        of_value.push_back(at::matmul(parts.weights.transpose(1, 2), upstream).transpose(0, 1));
    }
    const auto type = query.scalar_type();
    return {at::cat(of_query).to(type), at::cat(of_key).to(type), at::cat(of_value).to(type)};
}

TEST_F(RecordedTrainingTest, AttentionOverPackedTextsGivesTheSame) {
    config_.train.precision = Precision::bf16;
    config_.train.epochs = 8;
    config_.model.attention_probs_dropout_prob = 0;
    std::int64_t calls = 0;
    RunOptions options = recorded();
    options.change_device = [&, before = options.change_device](TrainingDevice& device) {
        before(device);
        device.kernels.flash_attention = [&](const at::Tensor& query, const at::Tensor& key,
                                             const at::Tensor& value, const VariedLengths& lengths) {
            ++calls;
            return attention_of_texts(query, key, value, lengths);
        };
        device.kernels.flash_attention_backward = gradients_of_texts;
    };
    for (const Pooling pooling :
         {Pooling::cls, Pooling::mean}) {  // the first token's attention alone, and all
        config_.model.pooling = pooling;
        EXPECT_LT(largest_difference(run(recorded()).losses, run(options).losses), 0.03);
    }
    EXPECT_GT(calls, 24 * 2 * 2);
    calls = 0;
    config_.model.attention_probs_dropout_prob = 0.1;
    run(options);
    EXPECT_EQ(calls, 2 * config_.train.epochs + 2);  // not in training, but in evaluations
}

TEST_F(RecordedTrainingTest, Bf16StaysCloseWithMasterWeightsInFloat) {
    config_.model.attention_probs_dropout_prob = 0;
    const TrainingRun full = run();
    config_.train.precision = Precision::bf16;
    const TrainingRun reduced = run(recorded());
    EXPECT_GT(largest_difference(full.losses, reduced.losses), 1e-6);
    double total = 0;
    for (std::size_t i = 0; i < full.losses.size(); ++i) {
        total += std::abs(full.losses[i] - reduced.losses[i]);
    }
    EXPECT_LT(total / static_cast<double>(kSteps), 0.02);
    EXPECT_EQ(reduced.losses, run(recorded()).losses);
}

TEST_F(RecordedTrainingTest, GoesOnWithoutRecordingWhereThatFails) {
    const TrainingRun expected = run(recorded());
    RunOptions options = recorded();
    std::int64_t asked = 0;
    options.change_device = [&](TrainingDevice& device) {
        device.make_captured_graph = [&]() -> std::unique_ptr<CapturedGraph> {
            ++asked;
            TORCH_CHECK(asked < 2, "the driver does not like it");
            return std::make_unique<WorkDoneAgain>(counts_);
        };
    };
    const TrainingRun result = run(options);
    EXPECT_EQ(asked, 2);
    EXPECT_LT(largest_difference(expected.losses, result.losses), 1e-5);
    EXPECT_THAT(result.log, testing::Contains(HasSubstr("the driver does not like it")));
}

TEST_F(RecordedTrainingTest, ALackOfMemoryEndsRecordingAndHalvesThePasses) {
    const TrainingRun expected = run();
    RunOptions options = recorded();
    options.retry_out_of_memory = true;
    options.before_pass = [](std::int64_t step, std::int64_t examples) {
        if (step == 21 && examples > 4) {
            throw std::bad_alloc();
        }
    };
    const TrainingRun result = run(options);
    ASSERT_EQ(result.outcome.cause, Cause::succeeded) << result.outcome.message;
    EXPECT_LT(largest_difference(expected.losses, result.losses), 1e-5);
    EXPECT_THAT(result.log, testing::Contains(HasSubstr("not recorded any more")));
    EXPECT_THAT(result.log, testing::Contains(HasSubstr("out of memory at step 22")));
}

TEST_F(RecordedTrainingTest, SaysAtWhichStepItDiverged) {
    config_.train.learning_rate = 1e30;
    config_.train.max_grad_norm = 0;
    const TrainingRun ours = run();
    const TrainingRun result = run(recorded());
    EXPECT_EQ(result.outcome.cause, Cause::diverged);
    EXPECT_EQ(result.outcome.message, ours.outcome.message);
    EXPECT_EQ(result.losses.size(), ours.losses.size());
}

TEST_F(RecordedTrainingTest, StopsAfterTheStepsThatWereBegun) {
    TrainingDevice device = cpu_device();
    record_by_doing_again(device, counts_);
    SilentObserver observer;
    std::atomic<bool> stop{false};
    std::int64_t begun = 0;
    std::int64_t known = 0;
    TrainerInputs inputs{config_, data_, device, collective_, observer, stop};
    inputs.use_libtorch_kernels = true;
    inputs.before_pass = [&](std::int64_t step, std::int64_t) {
        begun = step + 1;
        stop = begun == 5;
    };
    inputs.on_step = [&](std::int64_t step, double) { known = step; };
    EXPECT_EQ(train(inputs).cause, Cause::preempted);
    EXPECT_EQ(begun, 5);
    EXPECT_EQ(known, 5);
}

}  // namespace
}  // namespace orchestrate::test
