// When predictions count as collapsed onto one class: judged by what the labels are like.
#include <gtest/gtest.h>

#include "common/metrics/classification_metrics.h"

namespace orchestrate {
namespace {

// Rows by true class and predicted class.
ConfusionMatrix confusion(const std::vector<std::vector<std::int64_t>>& counts) {
    ConfusionMatrix matrix(counts.size());
    for (std::size_t i = 0; i < counts.size(); ++i) {
        for (std::size_t j = 0; j < counts[i].size(); ++j) {
            matrix.add(static_cast<std::int32_t>(i), static_cast<std::int32_t>(j), counts[i][j]);
        }
    }
    return matrix;
}

TEST(Collapse, APerfectModelHasNotCollapsedHoweverRareAClassIs) {
    EXPECT_FALSE(confusion({{940, 0}, {0, 60}}).is_collapsed());
    EXPECT_FALSE(confusion({{9990, 0}, {0, 10}}).is_collapsed());
    EXPECT_FALSE(confusion({{16, 0}, {0, 1}}).is_collapsed());
    EXPECT_FALSE(confusion({{930, 0, 0}, {0, 40, 0}, {0, 0, 30}}).is_collapsed());
    EXPECT_FALSE(confusion({{935, 5}, {20, 40}}).is_collapsed()) << "good, not perfect";
    EXPECT_FALSE(confusion({{50, 0}, {0, 0}}).is_collapsed()) << "a test part of one class, all right";
}

TEST(Collapse, OneClassForAllRowsHas) {
    EXPECT_TRUE(confusion({{940, 0}, {60, 0}}).is_collapsed());
    EXPECT_TRUE(confusion({{0, 940}, {0, 60}}).is_collapsed()) << "the rare class";
    EXPECT_TRUE(confusion({{9990, 0}, {10, 0}}).is_collapsed());
    EXPECT_TRUE(confusion({{100, 0, 0}, {100, 0, 0}, {100, 0, 0}}).is_collapsed());
    EXPECT_TRUE(confusion({{0, 50}, {0, 0}}).is_collapsed()) << "a test part of one class, all wrong";
}

TEST(Collapse, NearlyOneClassHasAsWell) {
    EXPECT_TRUE(confusion({{499, 1}, {420, 80}}).is_collapsed())
        << "over 90 % of equally frequent classes, as ever";
    EXPECT_FALSE(confusion({{490, 10}, {390, 110}}).is_collapsed()) << "88 %";
    EXPECT_TRUE(confusion({{938, 2}, {59, 1}}).is_collapsed());
    EXPECT_TRUE(confusion({{884, 56}, {57, 3}}).is_collapsed())
        << "as many of the rare class as there are, by chance";
}

TEST(Collapse, AgreementBeyondChanceIsKnownFromGuessing) {
    EXPECT_TRUE(confusion({{900, 40}, {20, 40}}).agrees_beyond_chance());
    EXPECT_FALSE(confusion({{884, 56}, {57, 3}}).agrees_beyond_chance());
    EXPECT_FALSE(confusion({{940, 0}, {60, 0}}).agrees_beyond_chance());
    EXPECT_FALSE(confusion({{4, 2}, {2, 4}}).agrees_beyond_chance()) << "too few rows to tell";
    EXPECT_FALSE(ConfusionMatrix(2).agrees_beyond_chance());
    EXPECT_FALSE(ConfusionMatrix(2).is_collapsed());
}

}  // namespace
}  // namespace orchestrate
