// How trainings end: too early because nothing gets better, without having learned, out of memory.
#include <cmath>
#include <new>

#include <ATen/Parallel.h>
#include <c10/util/Exception.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/error.h"
#include "losses.h"
#include "tests/worker/training/synthetic_data.h"
#include "worker/training/loop/divergence.h"
#include "worker/training/runtime/out_of_memory.h"

namespace orchestrate::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class TrainingEndsTest : public testing::Test {
  protected:
    void SetUp() override { at::set_num_threads(1); }

    TrainingRun run(const RunOptions& options = {}) { return run_job(config_, data_, collective_, options); }

    PreparedData data_ = synthetic_data(kTrainRows);
    JobConfig config_ = synthetic_job();
    SingleRank collective_;
};

TEST_F(TrainingEndsTest, EarlyStoppingEndsAfterEpochsWithoutABetterOne) {
    config_.train.epoch_selection = EpochSelection::best_validation_loss;
    config_.train.learning_rate = 0;  // nothing changes: the first epoch stays the best
    config_.train.early_stopping_patience = 2;
    const TrainingRun result = run();
    EXPECT_EQ(result.outcome.cause, Cause::succeeded);
    EXPECT_EQ(result.epochs.size(), 3U);
    EXPECT_EQ(result.outcome.result.selected_epoch, 1);
    EXPECT_EQ(validation_loss(result.outcome.result), validation_loss(result.epochs.front()));
}

TEST_F(TrainingEndsTest, EarlyStoppingNeedsValidation) {
    config_.train.early_stopping_patience = 2;
    data_.validation = {};
    try {
        run();
        FAIL() << "no error";
    } catch (const UserError& error) {
        EXPECT_THAT(error.what(), AllOf(HasSubstr("train.early_stopping_patience = 2"),
                                        HasSubstr("data.split.validation")));
    }
}

TEST_F(TrainingEndsTest, ARunThatLearnsHasNotCollapsedAndOneThatDoesNotHas) {
    EXPECT_FALSE(run().outcome.result.collapsed);
    // Labels that are right for no text, and predictions that still differ from text to text.
    config_.train.learning_rate = 1e-12;
    const TrainingRun still = run();
    EXPECT_TRUE(still.outcome.result.collapsed);
}

TEST_F(TrainingEndsTest, AnOverfittedRunHasNotCollapsedThoughItsTestLossIsThatOfGuessing) {
    // Test labels that have nothing to do with the texts: only the training part can be learned.
    for (std::size_t row = 0; row < data_.test.label.size(); ++row) {
        data_.test.label[row] = static_cast<std::int32_t>(row % 3);
    }
    const TrainingRun result = run();
    EXPECT_GT(test_loss(result.outcome.result), std::log(3.0));
    EXPECT_FALSE(result.outcome.result.collapsed);
}

TEST(HasLearnedNothing, IsATestLossWithinOnePercentOfTheLabelEntropyOrNoLossBelowGuessing) {
    const double entropy = std::log(12.0);
    const double guessing = 2.6;  // with smoothing
    const auto judge = [&](double train, double test) {
        return has_learned_nothing({train, guessing, test, entropy});
    };
    EXPECT_TRUE(judge(2.0, entropy));
    EXPECT_TRUE(judge(2.0, 1.009 * entropy));
    EXPECT_TRUE(judge(2.0, 0.991 * entropy));
    EXPECT_FALSE(judge(2.0, 1.011 * entropy));  // it has learned the training part by heart
    EXPECT_FALSE(judge(2.0, 0.989 * entropy));
    EXPECT_TRUE(judge(0.991 * guessing, 3 * entropy));
    EXPECT_FALSE(judge(0.989 * guessing, 3 * entropy));
    EXPECT_FALSE(judge(2 * guessing, 0.5 * entropy));  // the mean over a first epoch that began badly
}

TEST_F(TrainingEndsTest, WeightsSpoiledByTheVeryLastStepAreDiverged) {
    config_.train.epochs = 1;
    config_.train.batch_size = 100;  // one step
    config_.train.warmup_ratio = 0;
    config_.train.learning_rate = 1e30;
    const TrainingRun result = run();
    EXPECT_EQ(result.losses.size(), 1U);
    EXPECT_EQ(result.outcome.cause, Cause::diverged);
    EXPECT_THAT(result.outcome.message, AllOf(HasSubstr("evaluation"), HasSubstr("step 1 of 1")));
}

// A machine with memory for so many examples in one pass.
std::function<void(std::int64_t, std::int64_t)> memory_for(std::int64_t examples,
                                                           std::int64_t from_step = 0) {
    return [=](std::int64_t step, std::int64_t found) {
        if (step >= from_step && found > examples) {
            throw std::bad_alloc();
        }
    };
}

TEST_F(TrainingEndsTest, OutOfMemoryIsTriedAgainWithHalfTheMicroBatchAndGivesTheSameLosses) {
    const std::vector<double> plenty = run().losses;
    for (const std::int64_t fits : {8, 3, 1}) {
        const TrainingRun result =
            run({.retry_out_of_memory = true, .before_pass = memory_for(fits, /*from_step=*/4)});
        ASSERT_EQ(result.outcome.cause, Cause::succeeded);
        EXPECT_LT(largest_difference(plenty, result.losses), 1e-5) << fits;
        ASSERT_FALSE(result.log.empty());
        EXPECT_THAT(result.log.front(), AllOf(HasSubstr("out of memory at step 5 on 1 of 1 rank(s), 16 "
                                                        "example(s) at a time"),
                                              HasSubstr("going on with 8")));
    }
}

TEST_F(TrainingEndsTest, ARetryContinuesFromTheMicroBatchOfTheStudy) {
    std::int64_t most = 0;
    const auto limit = memory_for(4);
    const TrainingRun result = run({.micro_batch = 12,
                                    .retry_out_of_memory = true,
                                    .before_pass = [&](std::int64_t step, std::int64_t n) {
                                        limit(step, n);
                                        most = std::max(most, n);
                                    }});
    EXPECT_EQ(result.outcome.cause, Cause::succeeded);
    EXPECT_EQ(most, 3);  // 12, 6, 3
}

TEST_F(TrainingEndsTest, WithoutARetryOrWithoutMemoryForASingleExampleItIsOutOfMemory) {
    EXPECT_THROW(run({.before_pass = memory_for(8)}), OutOfMemory);
    try {
        run({.retry_out_of_memory = true, .before_pass = memory_for(0)});
        FAIL() << "no error";
    } catch (const OutOfMemory& error) {
        EXPECT_THAT(error.what(), AllOf(HasSubstr("step 1"), HasSubstr("1 example(s) at a time")));
    }
}

TEST_F(TrainingEndsTest, WhatLibTorchsAllocatorsThrowCountsAndOtherErrorsDoNot) {
    bool thrown = false;
    const auto once = [&](const char* message) {
        thrown = false;
        return [&, message](std::int64_t, std::int64_t) {
            if (!std::exchange(thrown, true)) {
                TORCH_CHECK(false, message);
            }
        };
    };
    const auto outcome =
        run({.retry_out_of_memory = true,
             .before_pass = once("[enforce fail] DefaultCPUAllocator: can't allocate memory")})
            .outcome;
    EXPECT_EQ(outcome.cause, Cause::succeeded);
    EXPECT_THROW(run({.retry_out_of_memory = true, .before_pass = once("some other error")}), c10::Error);
}

}  // namespace
}  // namespace orchestrate::test
