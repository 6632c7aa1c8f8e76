// The parts of the training loop that decide: learning rates, which epoch is kept, when training ends early.
#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/training/loop/best_epoch.h"
#include "worker/training/loop/divergence.h"
#include "worker/training/loop/training_plan.h"

namespace orchestrate {
namespace {

using testing::HasSubstr;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(TrainingPlan, TheLastBatchOfAnEpochHasTheRest) {
    TrainConfig config;
    config.batch_size = 4;
    config.epochs = 3;
    const TrainingPlan plan(config, 10);
    EXPECT_EQ(plan.steps_per_epoch, 3);
    EXPECT_EQ(plan.steps, 9);
    const std::vector<std::int64_t> order{9, 8, 7, 6, 5, 4, 3, 2, 1, 0};
    EXPECT_EQ(plan.batch(order, 0).size(), 4U);
    const auto last = plan.batch(order, 2);
    EXPECT_EQ(std::vector<std::int64_t>(last.begin(), last.end()), (std::vector<std::int64_t>{1, 0}));
}

// Values of transformers' get_{constant,linear,cosine}_schedule_with_warmup with 3 of 10 steps of warm-up.
TEST(TrainingPlan, SchedulesAreThoseOfTransformers) {
    TrainConfig config;
    config.learning_rate = 1;
    config.warmup_ratio = 0.21;  // of 10 steps: 2.1, rounded up
    const auto rates = [&](LearningRateSchedule schedule) {
        config.learning_rate_schedule = schedule;
        std::vector<double> result;
        for (std::int64_t step = 0; step < 10; ++step) {
            result.push_back(learning_rate_at(config, step, 10));
        }
        return result;
    };
    const auto near = [](const std::vector<double>& expected) {
        std::vector<testing::Matcher<double>> matchers;
        for (const double value : expected) {
            matchers.push_back(testing::DoubleNear(value, 1e-12));
        }
        return testing::ElementsAreArray(matchers);
    };
    EXPECT_THAT(rates(LearningRateSchedule::constant), near({0, 1 / 3.0, 2 / 3.0, 1, 1, 1, 1, 1, 1, 1}));
    EXPECT_THAT(rates(LearningRateSchedule::linear),
                near({0, 1 / 3.0, 2 / 3.0, 1, 6 / 7.0, 5 / 7.0, 4 / 7.0, 3 / 7.0, 2 / 7.0, 1 / 7.0}));
    EXPECT_THAT(rates(LearningRateSchedule::cosine),
                near({0, 1 / 3.0, 2 / 3.0, 1, 0.9504844339512095, 0.8117449009293668, 0.6112604669781572,
                      0.3887395330218429, 0.18825509907063337, 0.04951556604879048}));
}

std::vector<MetricValue> validation(double macro_f1, double loss) {
    return {{MetricPart::validation, "macro_f1", macro_f1},
            {MetricPart::validation, "loss", loss},
            {MetricPart::validation, "brier_score", 1 - macro_f1}};
}

class EpochChoiceTest : public testing::Test {
  protected:
    // The epoch that was kept, and the last one trained.
    std::pair<std::int64_t, std::int64_t> train(const std::vector<std::vector<MetricValue>>& epochs,
                                                bool has_validation = true) {
        BestEpoch choice(config_, has_validation);
        std::int64_t epoch = 0;
        for (const auto& metrics : epochs) {
            ++epoch;
            if (choice.after_epoch(epoch, metrics).stop) {
                break;
            }
        }
        EXPECT_EQ(choice.kept_validation(), epochs[static_cast<std::size_t>(choice.kept_epoch()) - 1]);
        return {choice.kept_epoch(), epoch};
    }

    TrainConfig config_;
    const std::vector<std::vector<MetricValue>> epochs_{validation(0.1, 5), validation(0.4, 6),
                                                        validation(0.4, 4), validation(0.3, 7),
                                                        validation(0.2, 8), validation(0.5, 9)};
};

TEST_F(EpochChoiceTest, TheFirstBestEpochIsKept) {
    config_.epoch_selection = EpochSelection::best_validation_macro_f1;
    EXPECT_EQ(train(epochs_), std::pair(6L, 6L));
    config_.epoch_selection = EpochSelection::best_validation_loss;
    EXPECT_EQ(train(epochs_), std::pair(3L, 6L));
    config_.epoch_selection = EpochSelection::best_validation_brier_score;  // the lower the better
    EXPECT_EQ(train(epochs_), std::pair(6L, 6L));
    config_.epoch_selection = EpochSelection::last;
    EXPECT_EQ(train(epochs_), std::pair(6L, 6L));
}

TEST_F(EpochChoiceTest, TrainingStopsAfterSoManyEpochsWithoutABetterOne) {
    config_.early_stopping_patience = 3;
    config_.epoch_selection = EpochSelection::best_validation_macro_f1;
    EXPECT_EQ(train(epochs_), std::pair(2L, 5L));
    config_.epoch_selection = EpochSelection::best_validation_loss;
    EXPECT_EQ(train(epochs_), std::pair(3L, 6L));
    config_.early_stopping_patience = 1;
    EXPECT_EQ(train(epochs_), std::pair(1L, 2L));
    config_.epoch_selection = EpochSelection::last;  // judged by the loss, but the last one is kept
    EXPECT_EQ(train(epochs_), std::pair(2L, 2L));
}

TEST_F(EpochChoiceTest, WithoutValidationTheLastEpochIsKeptAndNoneStops) {
    config_.early_stopping_patience = 1;
    config_.epoch_selection = EpochSelection::best_validation_macro_f1;
    EXPECT_EQ(train(epochs_, /*has_validation=*/false), std::pair(6L, 6L));
}

// ln 4 = 1.386: the loss of guessing among 4 classes.
class DivergenceTest : public testing::Test {
  protected:
    // The first of `steps` steps after which the training counts as diverged; 0: none.
    std::int64_t diverges_at(const std::function<double(std::int64_t step)>& loss, std::int64_t steps = 200) {
        DivergenceWatch watch(4, 0.5, steps);
        for (std::int64_t step = 1; step <= steps; ++step) {
            if (const auto found = watch.after_step(step, loss(step))) {
                message_ = *found;
                return step;
            }
        }
        return 0;
    }
    std::string message_;
};

TEST_F(DivergenceTest, ALossThatIsNotFiniteEndsAtOnceAndSaysWhatToDo) {
    EXPECT_EQ(diverges_at([](std::int64_t step) { return step == 7 ? std::nan("") : 1.0; }), 7);
    EXPECT_THAT(message_, HasSubstr("not a number at step 7 of 200; lower train.learning_rate (0.5"));
    EXPECT_EQ(diverges_at([](std::int64_t step) { return step == 8 ? kInfinity : 1.0; }), 8);
    EXPECT_THAT(message_, HasSubstr("infinite at step 8"));
}

TEST_F(DivergenceTest, SingleBadBatchesAreNoDivergence) {
    EXPECT_EQ(diverges_at([](std::int64_t step) { return step % 20 == 3 ? 200.0 : 1.0; }), 0);
    EXPECT_EQ(diverges_at([](std::int64_t step) { return step % 2 == 0 ? 20.0 : 1.0; }), 0);
}

TEST_F(DivergenceTest, AMeanFarAboveGuessingOverManyStepsIs) {
    EXPECT_EQ(diverges_at([](std::int64_t) { return 13.0; }), 0);
    EXPECT_EQ(diverges_at([](std::int64_t step) { return step > 30 ? 14.0 : 1.0; }), 60);
    EXPECT_THAT(message_, HasSubstr("exploded to 14.0"));
    EXPECT_THAT(message_, HasSubstr("guessing has 1.386"));
    EXPECT_EQ(diverges_at([](std::int64_t step) { return step == 25 ? 1e6 : 1.0; }), 40);
}

TEST_F(DivergenceTest, WeightsSpoiledByTheLastStepAreFoundInTheEvaluation) {
    const DivergenceWatch watch(4, 0.5, 9);
    EXPECT_FALSE(watch.after_evaluation(9, 1.0));
    EXPECT_THAT(watch.after_evaluation(9, std::nan("")).value_or(""),
                HasSubstr("evaluation is not a number at step 9"));
}

}  // namespace
}  // namespace orchestrate
