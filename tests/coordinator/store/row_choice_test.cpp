#include "coordinator/store/row_choice.h"

#include <gmock/gmock.h>

namespace orchestrate {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Stage stage(VariantFilter rule, std::size_t most = 0) {
    Stage made;
    made.rows_rule = rule;
    made.max_rows = most;
    return made;
}

TEST(ChooseRows, TopAreTheLargestDifferencesUpOrDownInOrderOfTheTable) {
    const std::vector<std::optional<MeasuredDifference>> differences = {
        std::nullopt, {{-0.01, 0, 1}}, {{0.05, 0, 1}}, {{-0.2, 0, 1}}, std::nullopt, {{0.05, 0, 1}}};
    EXPECT_THAT(choose_rows(stage(VariantFilter::top, 2), differences), ElementsAre(2, 3))
        << "of equal ones the first";
    EXPECT_THAT(choose_rows(stage(VariantFilter::top, 9), differences), ElementsAre(1, 2, 3, 5));
    EXPECT_THAT(choose_rows(stage(VariantFilter::top, 2), {std::nullopt}), IsEmpty());
}

// p-values of t = mean / deviation * sqrt(5) with 4 degrees of freedom: 0.0005, 0.0113, 0.0200, 0.0890. Holm compares
// them with 0.0125, 0.0167, 0.025 and 0.05.
TEST(ChooseRows, SignificantAreThoseThatHolmsProcedureKeeps) {
    const std::vector<std::optional<MeasuredDifference>> differences = {
        std::nullopt, {{0.01, 0.01, 5}}, {{0.02, 0.01, 5}}, {{-0.045, 0.01, 5}}, {{0.0168, 0.01, 5}}};
    EXPECT_THAT(choose_rows(stage(VariantFilter::significant), differences), ElementsAre(2, 3, 4));
    auto weaker = differences;
    weaker[2]->mean = 0.016;  // its p rises above 0.0167: it and those behind it are out
    weaker[4]->mean = 0.016;
    EXPECT_THAT(choose_rows(stage(VariantFilter::significant), weaker), ElementsAre(3));
    EXPECT_THAT(choose_rows(stage(VariantFilter::significant), {std::nullopt, {{0.5, 0, 1}}}), IsEmpty())
        << "one seed tells nothing";
}

}  // namespace
}  // namespace orchestrate
