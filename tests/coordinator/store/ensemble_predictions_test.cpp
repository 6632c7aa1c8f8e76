// Means and votes by hand, the metrics of what they predict, and what cannot be combined.
#include "coordinator/store/ensemble_predictions.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/error.h"
#include "common/metrics/packed_probabilities.h"

namespace orchestrate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Three classes; the true ones are 0, 1, 2.
MemberPredictions member(const std::vector<std::vector<double>>& rows) {
    MemberPredictions made;
    made.classes = {"a", "b", "c"};
    for (std::size_t i = 0; i < rows.size(); ++i) {
        made.line.push_back(static_cast<std::int64_t>(i) + 2);
        made.true_class.push_back(static_cast<std::int32_t>(i % 3));
        const auto best = std::max_element(rows[i].begin(), rows[i].end());
        made.predicted_class.push_back(static_cast<std::int32_t>(best - rows[i].begin()));
        made.probability.push_back(static_cast<float>(*best));
        for (const double probability : rows[i]) {
            made.class_probability.push_back(fixed_point(probability));
        }
    }
    return made;
}

std::optional<double> metric(const AttemptResult& result, const std::string& name) {
    return find_metric(result.metrics, {MetricPart::test, name});
}

std::string refusal(EnsembleRule rule, const std::vector<MemberPredictions>& members) {
    try {
        combine_predictions(rule, members);
    } catch (const UserError& error) {
        return error.what();
    }
    return "";
}

TEST(EnsemblePredictionsTest, TheMeanOfProbabilitiesDecides) {
    // By votes the first row is b; by the mean it is a.
    const std::vector<MemberPredictions> members = {
        member({{0.9, 0.1, 0.0}, {0.2, 0.6, 0.2}, {0.5, 0.3, 0.2}}),
        member({{0.4, 0.6, 0.0}, {0.1, 0.8, 0.1}, {0.1, 0.2, 0.7}}),
        member({{0.4, 0.6, 0.0}, {0.5, 0.4, 0.1}, {0.6, 0.1, 0.3}})};
    const auto result = combine_predictions(EnsembleRule::mean, members);
    EXPECT_THAT(result.test_predictions.predicted_class, ElementsAre(0, 1, 0));
    EXPECT_NEAR(result.test_predictions.probability[0], 1.7 / 3, 1e-5);
    EXPECT_NEAR(metric(result, "loss").value(),
                -(std::log(1.7 / 3) + std::log(1.8 / 3) + std::log(1.2 / 3)) / 3, 1e-4);
    EXPECT_NEAR(metric(result, "accuracy").value(), 2.0 / 3, 1e-12);
    // By hand: F1 is 2/3 for a (precision 1/2, recall 1), 1 for b, 0 for c.
    EXPECT_NEAR(metric(result, "macro_f1").value(), (2.0 / 3 + 1 + 0) / 3, 1e-12);
    // The label of the third row is the third most probable class; the others' are the most probable.
    EXPECT_NEAR(metric(result, "mean_reciprocal_rank").value(), (1 + 1 + 1.0 / 2) / 3, 1e-12);
    ASSERT_EQ(result.test_confusion.size(), 3U);
    EXPECT_EQ(result.test_classes[2].support, 1);
}

TEST(EnsemblePredictionsTest, AVoteIsBrokenByTheProbabilitiesOfTheVotesThenByTheFirstClass) {
    const auto two = combine_predictions(
        EnsembleRule::vote,
        std::vector<MemberPredictions>{member({{0.8, 0.1, 0.1}, {0.5, 0.5, 0.0}, {0, 0.5, 0.5}}),
                                       member({{0.1, 0.0, 0.9}, {0.0, 0.5, 0.5}, {0, 0.1, 0.9}})});
    EXPECT_THAT(two.test_predictions.predicted_class, ElementsAre(2, 0, 2));
    EXPECT_EQ(two.test_predictions.probability[0], 0.5F);
    for (const char* name : {"loss", "macro_roc_auc", "expected_calibration_error", "brier_score"}) {
        EXPECT_FALSE(metric(two, name)) << name << " needs probabilities";
    }
    EXPECT_TRUE(metric(two, "matthews_correlation"));
    const auto three = combine_predictions(
        EnsembleRule::vote, std::vector<MemberPredictions>{member({{0.99, 0.01, 0}}), member({{0.4, 0.6, 0}}),
                                                           member({{0.4, 0.6, 0}})});
    EXPECT_THAT(three.test_predictions.predicted_class, ElementsAre(1));
}

TEST(EnsemblePredictionsTest, EqualMeansGiveTheFirstClass) {
    const auto result = combine_predictions(
        EnsembleRule::mean,
        std::vector<MemberPredictions>{member({{0.2, 0.6, 0.2}}), member({{0.2, 0.2, 0.6}})});
    EXPECT_THAT(result.test_predictions.predicted_class, ElementsAre(1));
}

TEST(EnsemblePredictionsTest, TheOrderOfMembersDoesNotMatter) {
    const auto one = member({{0.1, 0.2, 0.7}, {0.3, 0.3, 0.4}});
    const auto other = member({{0.6, 0.2, 0.2}, {0.25, 0.5, 0.25}});
    for (const auto rule : {EnsembleRule::mean, EnsembleRule::vote}) {
        const auto forth = combine_predictions(rule, std::vector{one, other});
        const auto back = combine_predictions(rule, std::vector{other, one});
        EXPECT_EQ(forth.test_predictions.predicted_class, back.test_predictions.predicted_class);
        EXPECT_EQ(forth.test_predictions.probability, back.test_predictions.probability);
    }
}

TEST(EnsemblePredictionsTest, WhatDoesNotFitIsRefused) {
    const auto one = member({{0.1, 0.2, 0.7}});
    auto other_rows = one;
    other_rows.line[0] = 99;
    auto other_classes = one;
    other_classes.classes[0] = "z";
    auto old = one;
    old.class_probability.clear();
    EXPECT_THAT(refusal(EnsembleRule::mean, {}), HasSubstr("no members"));
    EXPECT_THAT(refusal(EnsembleRule::vote, {member({}), member({})}), HasSubstr("no test predictions"));
    EXPECT_THAT(refusal(EnsembleRule::vote, {one, other_rows}), HasSubstr("different rows"));
    EXPECT_THAT(refusal(EnsembleRule::vote, {one, other_classes}), HasSubstr("different classes"));
    EXPECT_THAT(refusal(EnsembleRule::mean, {one, old}), HasSubstr("combine = \"vote\""));
    EXPECT_EQ(refusal(EnsembleRule::vote, {one, old}), "");
}

}  // namespace
}  // namespace orchestrate
