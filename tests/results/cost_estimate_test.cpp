// What jobs will cost, from those that were measured.
#include "results/cost_estimate.h"

#include <gmock/gmock.h>

namespace orchestrate {
namespace {

MeasuredJob measured(std::int64_t epochs, std::uint64_t seed, double seconds, int ranks = 1) {
    MeasuredJob job;
    job.config.data.features = {"energy", "tempo"};
    job.config.train.epochs = epochs;
    job.config.seed = {seed, seed};
    job.seconds = seconds;
    job.ranks = ranks;
    job.device_class = "cpu avx2";
    return job;
}

PlannedJob planned(std::int64_t epochs, std::uint64_t seed, int stage = 0, int ranks = 1) {
    return {measured(epochs, seed, 0).config, ranks, stage};
}

TEST(CostEstimate, IsNothingWithoutAnEarlierJob) {
    EXPECT_FALSE(estimate_cost({planned(3, 1)}, {}, 100, 2));
}

TEST(CostEstimate, TakesJobsOfTheSameConfigurationAsTheyWere) {
    const auto estimate =
        estimate_cost({planned(3, 8), planned(3, 9)}, {measured(3, 1, 3600), measured(3, 2, 7200)}, 100, 2);
    ASSERT_TRUE(estimate);
    EXPECT_EQ(estimate->same, 2U);
    EXPECT_EQ(estimate->scaled, 0U);
    EXPECT_DOUBLE_EQ(estimate->rank_hours.low, 2);
    EXPECT_DOUBLE_EQ(estimate->rank_hours.likely, 3);
    EXPECT_DOUBLE_EQ(estimate->rank_hours.high, 4);
    EXPECT_DOUBLE_EQ(estimate->wall_hours.likely, 1.5) << "two at a time";
}

TEST(CostEstimate, ScalesOtherConfigurationsByTheirWork) {
    const auto estimate =
        estimate_cost({planned(12, 1)}, {measured(3, 1, 3600), measured(300, 1, 1)}, 100, 1);
    ASSERT_TRUE(estimate);
    EXPECT_EQ(estimate->scaled, 1U);
    EXPECT_NEAR(estimate->rank_hours.likely, 4, 1e-12) << "four times the epochs of the nearest";
    EXPECT_LT(estimate->rank_hours.low, 4 / 1.5);
    EXPECT_GT(estimate->rank_hours.high, 4 * 1.5);
}

TEST(CostEstimate, CountsRanksAndStagesOneAfterAnother) {
    const auto estimate = estimate_cost({planned(3, 1, 0, 2), planned(3, 2, 1, 1), planned(3, 3, 1, 1)},
                                        {measured(3, 9, 1800, 2)}, 100, 2);
    ASSERT_TRUE(estimate);
    EXPECT_DOUBLE_EQ(estimate->rank_hours.likely, 3);
    EXPECT_DOUBLE_EQ(estimate->wall_hours.likely, 0.5 + 1);
}

TEST(CostEstimate, KeepsToTheDeviceThatMostJobsRanOn) {
    auto gpu = measured(3, 4, 10);
    gpu.device_class = "NVIDIA H100";
    const auto estimate =
        estimate_cost({planned(3, 5)}, {measured(3, 1, 3600), measured(3, 2, 3600), gpu}, 100, 1);
    ASSERT_TRUE(estimate);
    EXPECT_EQ(estimate->device_class, "cpu avx2");
    EXPECT_DOUBLE_EQ(estimate->rank_hours.high, 1);
}

TEST(AmountOfWork, GrowsWithEpochsRowsFeaturesAndLayers) {
    JobConfig config;
    config.data.features = {"energy"};
    const double plain = amount_of_work(config, 1000);
    auto changed = config;
    changed.train.epochs *= 2;
    EXPECT_DOUBLE_EQ(amount_of_work(changed, 1000), 2 * plain);
    changed = config;
    changed.data.max_rows = 500;
    EXPECT_DOUBLE_EQ(amount_of_work(changed, 1000), 0.5 * plain);
    changed = config;
    changed.model.kept_layers = {0};
    EXPECT_LT(amount_of_work(changed, 1000), 0.6 * plain);
    changed = config;
    changed.data.features = {"energy", "tempo", "valence"};
    EXPECT_DOUBLE_EQ(amount_of_work(changed, 1000), 2 * plain);
}

}  // namespace
}  // namespace orchestrate
