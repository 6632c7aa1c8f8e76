// Promotions over arrival orders: what holds for all of them, and that the deterministic ones are always the same.
#include "coordinator/studies/successive_halving.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orchestrate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// A search whose trials have these values at each rung, lived through in some order.
class Search {
  public:
    Search(Halving rules, std::vector<std::vector<double>> values)
        : rules_(std::move(rules)), values_(std::move(values)), trials_(values_.size()) {
        for (auto& trial : trials_) {
            trial.at.resize(rules_.rungs.size());
        }
    }

    // Until nothing is left to do: how far each trial was let go.
    std::vector<std::size_t> live(std::mt19937& random) {
        while (true) {
            std::vector<std::size_t> running;
            for (std::size_t i = 0; i < trials_.size(); ++i) {
                const std::size_t next = trials_[i].released;
                if (next < rules_.rungs.size() && !trials_[i].at[next]) {
                    running.push_back(i);
                }
            }
            if (running.empty()) {
                break;
            }
            const std::size_t place = running[random() % running.size()];
            const double value = values_[place].at(trials_[place].released);
            trials_[place].at[trials_[place].released].emplace();
            if (!std::isnan(value)) {
                trials_[place].at[trials_[place].released]->value = value;
            }
            promote();
        }
        std::vector<std::size_t> released;
        for (const auto& trial : trials_) {
            released.push_back(trial.released);
        }
        return released;
    }

  private:
    void promote() {
        const auto chosen = promotions(rules_, trials_);
        EXPECT_EQ(std::set<std::size_t>(chosen.begin(), chosen.end()).size(), chosen.size());
        for (const std::size_t place : chosen) {
            auto& trial = trials_[place];
            const std::size_t rung = trial.released;
            ASSERT_TRUE(trial.at.at(rung) && trial.at[rung]->value);
            // Only so many of those that are there can be better.
            std::size_t there = 0;
            std::size_t better = 0;
            for (const auto& other : trials_) {
                if (other.released >= rung && other.at[rung]) {
                    ++there;
                    better += other.at[rung]->value.value_or(-1) > *trial.at[rung]->value ? 1 : 0;
                }
            }
            EXPECT_LT(better,
                      std::max<std::size_t>(1, there / static_cast<std::size_t>(rules_.reduction_factor)));
        }
        for (const std::size_t place : chosen) {
            ++trials_[place].released;
        }
        if (!chosen.empty()) {
            promote();
        }
    }

    Halving rules_;
    std::vector<std::vector<double>> values_;
    std::vector<TrialAtRungs> trials_;
};

std::vector<std::vector<double>> random_values(std::size_t trials, std::size_t rungs, std::mt19937& random) {
    std::vector<std::vector<double>> values(trials, std::vector<double>(rungs));
    for (auto& trial : values) {
        for (auto& value : trial) {
            value =
                random() % 10 == 0 ? std::nan("") : static_cast<double>(random() % 7) / 7;  // many equal ones
        }
    }
    return values;
}

TEST(SuccessiveHalvingTest, DeterministicPromotionsDoNotDependOnTheOrderOfArrival) {
    std::mt19937 random(1);
    for (int round = 0; round < 300; ++round) {
        const Halving rules{{1, 3, 9}, 2 + static_cast<std::int64_t>(random() % 3), true};
        const auto values = random_values(1 + random() % 20, 3, random);
        const auto first = Search(rules, values).live(random);
        for (int order = 0; order < 10; ++order) {
            ASSERT_EQ(Search(rules, values).live(random), first) << "round " << round;
        }
    }
}

TEST(SuccessiveHalvingTest, DeterministicPromotionsAreTheBestOfEachRung) {
    std::mt19937 random(2);
    // The third is the best at first, the first in the end.
    const auto released =
        Search({{1, 3}, 2, true}, {{0.7, 0.9}, {0.1, 1.0}, {0.9, 0.8}, {0.2, 1.0}, {0.6, 0.1}}).live(random);
    EXPECT_THAT(released, ElementsAre(2U, 0U, 1U, 0U, 0U));
}

TEST(SuccessiveHalvingTest, AsynchronousOnesLetAtLeastTheSameBestGoOn) {
    std::mt19937 random(3);
    for (int round = 0; round < 300; ++round) {
        Halving rules{{1, 3, 9}, 3, true};
        const auto values = random_values(1 + random() % 20, 3, random);
        const auto by_rung = Search(rules, values).live(random);
        rules.deterministic = false;
        const auto at_once = Search(rules, values).live(random);
        for (std::size_t i = 0; i < values.size(); ++i) {
            if (by_rung[i] > 0) {  // the first rung's best are its best in any order
                EXPECT_GT(at_once[i], 0U) << "round " << round << ", trial " << i;
            }
        }
        const bool any = std::any_of(values.begin(), values.end(), [](const std::vector<double>& trial) {
            return std::none_of(trial.begin(), trial.end(), [](double value) { return std::isnan(value); });
        });
        const bool all = std::all_of(values.begin(), values.end(), [](const std::vector<double>& trial) {
            return std::none_of(trial.begin(), trial.end(), [](double value) { return std::isnan(value); });
        });
        if (any && all) {
            EXPECT_EQ(*std::max_element(at_once.begin(), at_once.end()), 3U) << "no trial reaches the end";
            EXPECT_EQ(*std::max_element(by_rung.begin(), by_rung.end()), 3U) << "no trial reaches the end";
        }
    }
}

TEST(SuccessiveHalvingTest, TheHigherRungGoesFirst) {
    using Arrival = TrialAtRungs::Arrival;
    const TrialAtRungs low{0, {Arrival{0.9}, std::nullopt}};
    const TrialAtRungs high{1, {Arrival{0.8}, Arrival{0.5}}};
    const TrialAtRungs beside_it{1, {Arrival{0.7}, Arrival{0.4}}};
    EXPECT_THAT(promotions({{1, 3}, 2, false}, {low, high, beside_it}), ElementsAre(1U, 0U));
}

TEST(SuccessiveHalvingTest, WithoutDeterminismATrialWaitsForEnoughOthers) {
    TrialAtRungs there{0, {TrialAtRungs::Arrival{0.9}}};
    TrialAtRungs under_way{0, {std::nullopt}};
    EXPECT_THAT(promotions({{1}, 2, false}, {there, under_way, under_way}), IsEmpty());
    EXPECT_THAT(promotions({{1}, 2, false}, {there, there, under_way}), ElementsAre(0U));
    EXPECT_THAT(promotions({{1}, 2, true}, {there, there, under_way}), IsEmpty());
}

TEST(SuccessiveHalvingTest, ARungComparesTheEpochThatWouldBeKept) {
    std::vector<EpochMetrics> epochs(3);
    const double scores[][3] = {{0.4, 0.9, 0.5}, {0.6, 0.8, 0.7}, {0.5, 0.7, 0.9}};  // F1, loss, accuracy
    for (int i = 0; i < 3; ++i) {
        epochs[static_cast<std::size_t>(i)].epoch = i + 1;
        epochs[static_cast<std::size_t>(i)].metrics = {{MetricPart::validation, "macro_f1", scores[i][0]},
                                                       {MetricPart::validation, "loss", scores[i][1]},
                                                       {MetricPart::validation, "accuracy", scores[i][2]}};
    }
    using enum EpochSelection;
    const auto value = [&](std::int64_t rung, EpochSelection selection, const std::string& metric,
                           MetricGoal goal = MetricGoal::max) {
        return value_at_rung(epochs, rung, selection, {MetricPart::validation, metric}, goal);
    };
    EXPECT_EQ(value(3, best_validation_macro_f1, "accuracy"), 0.7);
    EXPECT_EQ(value(3, best_validation_loss, "accuracy"), 0.9);
    EXPECT_EQ(value(3, last, "macro_f1"), 0.5);
    EXPECT_EQ(value(1, last, "macro_f1"), 0.4);
    EXPECT_EQ(value(3, best_validation_macro_f1, "loss", MetricGoal::min), -0.8);  // the higher the better
    EXPECT_EQ(value(3, last, "not reported"), std::nullopt);
    EXPECT_EQ(value_at_rung({}, 1, last, {MetricPart::validation, "macro_f1"}, MetricGoal::max),
              std::nullopt);
}

}  // namespace
}  // namespace orchestrate
