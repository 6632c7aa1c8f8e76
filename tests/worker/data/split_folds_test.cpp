// Folds of a data set: every row is tested once, groups stay together, shares are kept.
#include <map>
#include <set>

#include <gmock/gmock.h>

#include "common/base/counter_random.h"
#include "common/base/error.h"
#include "common/data/split.h"

namespace orchestrate {
namespace {

// 600 rows of three classes (300, 200, 100); groups of one to nine rows.
Dataset tracks(bool grouped) {
    Dataset dataset;
    dataset.classes = {"funk", "punk", "ska"};
    for (std::int64_t row = 0; row < 600; ++row) {
        dataset.label.push_back(row % 6 < 3 ? 0 : row % 6 < 5 ? 1 : 2);
        dataset.line.push_back(row + 2);
        if (grouped) {
            dataset.group.push_back(
                std::to_string(counter_random(1, 2, static_cast<std::uint64_t>(row)) % 200));
        }
    }
    return dataset;
}

SplitConfig fold_of(std::int64_t folds, std::int64_t fold) {
    SplitConfig config;
    config.folds = folds;
    config.fold = fold;
    config.test = 1 / static_cast<double>(folds);
    config.validation = 0.1;
    config.train = 1 - config.test - config.validation;
    return config;
}

class Folds : public ::testing::TestWithParam<bool> {};

TEST_P(Folds, TestEveryRowExactlyOnce) {
    const auto dataset = tracks(GetParam());
    for (const std::int64_t folds : {2, 3, 5, 10}) {
        std::vector<int> tested(dataset.rows(), 0);
        for (std::int64_t fold = 0; fold < folds; ++fold) {
            const auto parts = split_rows(dataset, fold_of(folds, fold));
            std::map<DataPart, std::size_t> rows;
            for (std::size_t row = 0; row < parts.size(); ++row) {
                tested[row] += parts[row] == DataPart::test ? 1 : 0;
                ++rows[parts[row]];
            }
            const double fair = 600.0 / static_cast<double>(folds);
            EXPECT_NEAR(static_cast<double>(rows[DataPart::test]), fair, 0.05 * fair + 1);
            EXPECT_NEAR(static_cast<double>(rows[DataPart::validation]), 60, 6);
        }
        EXPECT_THAT(tested, ::testing::Each(1)) << folds << " folds";
    }
}

TEST_P(Folds, KeepTheShareOfEachClass) {
    const auto dataset = tracks(GetParam());
    for (std::int64_t fold = 0; fold < 5; ++fold) {
        std::map<std::int32_t, double> tested;
        const auto parts = split_rows(dataset, fold_of(5, fold));
        for (std::size_t row = 0; row < parts.size(); ++row) {
            tested[dataset.label[row]] += parts[row] == DataPart::test ? 1 : 0;
        }
        EXPECT_NEAR(tested[0], 60, 6);
        EXPECT_NEAR(tested[1], 40, 5);
        EXPECT_NEAR(tested[2], 20, 4);
    }
}

INSTANTIATE_TEST_SUITE_P(RowsAndGroups, Folds, ::testing::Bool(),
                         [](const auto& test) { return test.param ? "groups" : "rows"; });

TEST(FoldsOfGroups, KeepGroupsTogether) {
    const auto dataset = tracks(true);
    for (std::int64_t fold = 0; fold < 4; ++fold) {
        std::map<std::string, std::set<DataPart>> parts_of_group;
        const auto parts = split_rows(dataset, fold_of(4, fold));
        for (std::size_t row = 0; row < parts.size(); ++row) {
            parts_of_group[dataset.group[row]].insert(parts[row]);
        }
        for (const auto& [group, found] : parts_of_group) {
            EXPECT_THAT(found, ::testing::SizeIs(1)) << group;
        }
    }
}

TEST(FoldsOfRows, DependOnTheSeedAlone) {
    const auto dataset = tracks(false);
    EXPECT_EQ(split_rows(dataset, fold_of(5, 2)), split_rows(dataset, fold_of(5, 2)));
    auto other = fold_of(5, 2);
    other.seed = 1;
    EXPECT_NE(split_rows(dataset, fold_of(5, 2)), split_rows(dataset, other));
}

TEST(FoldsOfRows, RefuseFoldsThatAreNotThere) {
    EXPECT_THROW(split_rows(tracks(false), fold_of(5, 5)), UserError);
    EXPECT_THROW(split_rows(tracks(false), fold_of(5, -1)), UserError);
    auto few = tracks(false);
    few.group.assign(few.rows(), "one");
    EXPECT_THROW(split_rows(few, fold_of(5, 1)), UserError);
}

}  // namespace
}  // namespace orchestrate
