// Ensembles in the database: rows of the table, computed once, again when members change, hidden when gone.
#include "coordinator/store/stored_ensembles.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/store/job_store.h"
#include "results/schema.h"
#include "results/tables.h"

namespace orchestrate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* kMemory = "file:stored-ensembles?mode=memory&cache=shared";
const int kOpen = SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE | SQLite::OPEN_URI;

class StoredEnsemblesTest : public testing::Test {
  protected:
    StoredEnsemblesTest() : database_(prepared()), store_(SQLite::Database(kMemory, kOpen)) {
        Study study;
        study.name = "s";
        study.file = "/s.toml";
        study_ = store_.begin_study(study);
        stage_.name = "ablation";
        variants_ = {variant("baseline", 8, {1, 2}), variant("a", 9, {1, 2}), variant("b", 10, {1, 2})};
        variants_[0].is_baseline = true;
        sync();
    }

    static SQLite::Database prepared() {
        SQLite::Database database(kMemory, kOpen);
        prepare_schema(database);
        return database;
    }

    static Variant variant(const std::string& name, std::int64_t head_width,
                           const std::vector<std::uint64_t>& seeds) {
        Variant made;
        made.name = name;
        made.config.model.head_width = head_width;
        for (const auto seed : seeds) {
            made.runs.push_back({{seed, seed}, 0, 0, static_cast<int>(made.runs.size())});
        }
        return made;
    }

    void sync() { jobs_ = store_.sync_stage(study_, 0, stage_, variants_, {}); }

    // Four rows of two classes, of which `right` are predicted well.
    void succeed(std::size_t job, int right, bool with_probabilities = true) {
        const WorkerRecord worker{0, "here-1", "host", 1, 1, "cpu", "/logs/here-1.log"};
        const auto begun = store_.begin_attempt(jobs_.at(job), worker, "/logs");
        AttemptResult result;
        result.classes = {"funk", "punk"};
        result.device_class = "cpu";
        result.parameters = 100;
        std::vector<std::uint16_t> probabilities;
        for (int row = 0; row < 4; ++row) {
            const int predicted = row < right ? row % 2 : 1 - row % 2;
            result.test_predictions.row.push_back(row + 2);
            result.test_predictions.true_class.push_back(row % 2);
            result.test_predictions.predicted_class.push_back(predicted);
            result.test_predictions.probability.push_back(row < right ? 0.9F : 0.6F);
            const auto high = fixed_point(row < right ? 0.9 : 0.6);
            probabilities.push_back(predicted == 0 ? high : static_cast<std::uint16_t>(65535 - high));
            probabilities.push_back(predicted == 1 ? high : static_cast<std::uint16_t>(65535 - high));
        }
        result.metrics = {{MetricPart::test, "macro_f1", right / 4.0}};
        if (with_probabilities) {
            result.test_predictions.class_probabilities = pack_probabilities(probabilities, 2);
        }
        ASSERT_TRUE(store_.end_attempt({begun.id, Cause::succeeded, "", result}));
    }

    Ensemble ensemble(const std::vector<std::string>& names, EnsembleRule rule = EnsembleRule::mean) {
        Ensemble made;
        made.name = "together";
        made.change = "mean of some";
        made.stage = "ablation";
        made.combine = rule;
        for (const auto& name : names) {
            made.members.push_back({"ablation", name});
        }
        return made;
    }

    std::vector<std::string> compute(const Ensemble& made) {
        std::vector<const Variant*> members;
        for (const auto& member : made.members) {
            for (const auto& row : variants_) {
                if (row.name == member.variant) {
                    members.push_back(&row);
                }
            }
        }
        return store_.sync_ensembles(study_, "ablation", {{made, ensemble_runs(made, members, variants_)}});
    }

    std::string value(const std::string& sql) { return database_.execAndGet(sql).getString(); }

    SQLite::Database database_;
    JobStore store_;
    StudyId study_;
    Stage stage_;
    std::vector<Variant> variants_;
    std::vector<JobId> jobs_;
};

TEST_F(StoredEnsemblesTest, StandInTheTableWithDifferencesPerSeed) {
    // baseline: 2 and 4 right; a: 4 and 3; b is not done.
    succeed(0, 2);
    succeed(1, 4);
    succeed(2, 4);
    succeed(3, 3);
    EXPECT_THAT(compute(ensemble({"baseline", "a"})), IsEmpty());
    EXPECT_EQ(value("SELECT jobs FROM comparison WHERE variant = 'together'"), "2/2");
    // Seed 1: of rows 3 and 4 the baseline gives the true class 0.4, a 0.9: all four are right.
    EXPECT_EQ(value("SELECT group_concat(accuracy) FROM seed_result WHERE variant = 'together'"), "1.0,1.0");
    EXPECT_EQ(value("SELECT difference FROM seed_result WHERE variant = 'together' AND seed_index = 0"),
              "0.5");
    EXPECT_EQ(value("SELECT count(*) FROM prediction_named WHERE variant = 'together' AND correct"), "8");
    EXPECT_EQ(value("SELECT parameters FROM job_overview WHERE variant = 'together'"), "200");
    const auto text = render_comparison(database_, "s", std::nullopt, 80, OutputFormat::table);
    EXPECT_LT(text.find("\nb "), text.find("\ntogether "));
    EXPECT_EQ(value("SELECT jobs FROM study_progress"), "6") << "an ensemble is no job of the study's";
}

TEST_F(StoredEnsemblesTest, AreComputedOnceAndAgainWhenMembersChange) {
    for (std::size_t job = 0; job < 6; ++job) {
        succeed(job, 2);
    }
    compute(ensemble({"baseline", "a"}));
    const auto jobs = value(
        "SELECT group_concat(job_id) FROM variant_jobs JOIN variants ON id = variant_id WHERE is_ensemble");
    compute(ensemble({"a", "baseline"}));
    EXPECT_EQ(value("SELECT group_concat(job_id) FROM variant_jobs JOIN variants ON id = variant_id WHERE "
                    "is_ensemble"),
              jobs);
    compute(ensemble({"a", "b"}));
    EXPECT_NE(value("SELECT group_concat(job_id) FROM variant_jobs JOIN variants ON id = variant_id WHERE "
                    "is_ensemble"),
              jobs);
    EXPECT_EQ(value("SELECT count(*) FROM variants WHERE is_ensemble"), "1");
    EXPECT_EQ(value("SELECT count(*) FROM attempts"), "6");
}

TEST_F(StoredEnsemblesTest, AreHiddenWhenTheyAreGone) {
    for (std::size_t job = 0; job < 6; ++job) {
        succeed(job, 3);
    }
    compute(ensemble({"baseline", "a"}));
    sync();
    EXPECT_EQ(value("SELECT count(*) FROM comparison"), "3");
    EXPECT_THAT(store_.mean_metric(study_, "ablation", {MetricPart::validation, "macro_f1"}), SizeIs(3));
    compute(ensemble({"baseline", "a"}));
    EXPECT_EQ(value("SELECT count(*) FROM comparison"), "4");
    EXPECT_THAT(store_.mean_metric(study_, "ablation", {MetricPart::validation, "macro_f1"}), SizeIs(3));
    EXPECT_THAT(store_.differences(study_, "ablation", {MetricPart::test, "macro_f1"}), SizeIs(3));
}

TEST_F(StoredEnsemblesTest, WhatIsMissingIsSaid) {
    succeed(0, 2);
    succeed(2, 3);
    succeed(1, 2);
    EXPECT_THAT(
        compute(ensemble({"baseline", "a"})),
        ElementsAre("ensemble 'together': 1 of 2 results cannot be computed: a member has no result"));
    EXPECT_EQ(value("SELECT jobs FROM comparison WHERE variant = 'together'"), "1/1");
    EXPECT_THAT(render_comparison(database_, "s", std::nullopt, 0, OutputFormat::table),
                HasSubstr("Ensemble together lacks 1 of 2 results"));
    succeed(3, 3);
    EXPECT_THAT(compute(ensemble({"baseline", "a"})), IsEmpty());
    EXPECT_EQ(value("SELECT jobs FROM comparison WHERE variant = 'together'"), "2/2");
}

TEST_F(StoredEnsemblesTest, WithoutCommonResultsSaysWhy) {
    EXPECT_THAT(
        compute(ensemble({"of no stage"})),
        ElementsAre("ensemble 'together' cannot be computed: no seed, fold and split is common to its "
                    "members"));
    EXPECT_THAT(render_comparison(database_, "s", std::nullopt, 0, OutputFormat::table),
                HasSubstr("Ensemble together has no result: no seed, fold and split is common"));
}

TEST_F(StoredEnsemblesTest, AVoteNeedsNoProbabilitiesAndHasNoLoss) {
    for (std::size_t job = 0; job < 4; ++job) {
        succeed(job, 3, false);
    }
    EXPECT_THAT(compute(ensemble({"baseline", "a"})), ElementsAre(HasSubstr("combine = \"vote\"")));
    EXPECT_THAT(compute(ensemble({"baseline", "a"}, EnsembleRule::vote)), IsEmpty());
    EXPECT_EQ(value("SELECT count(*) FROM seed_result WHERE variant = 'together' AND loss IS NULL"), "2");
    EXPECT_EQ(value("SELECT accuracy FROM seed_result WHERE variant = 'together'"), "0.75");
}

TEST_F(StoredEnsemblesTest, OverSeedsTheDifferenceIsToTheBaselinesMean) {
    succeed(0, 2);
    succeed(1, 3);
    succeed(2, 4);
    succeed(3, 4);
    auto over_seeds = ensemble({"a"});
    over_seeds.across_seeds = true;
    EXPECT_THAT(compute(over_seeds), IsEmpty());
    EXPECT_EQ(value("SELECT jobs FROM comparison WHERE variant = 'together'"), "1/1");
    EXPECT_EQ(value("SELECT difference FROM variant_summary WHERE variant = 'together'"), "0.375");
    EXPECT_EQ(value("SELECT coalesce(difference_sd, 'none') || pairs FROM variant_summary WHERE variant = "
                    "'together'"),
              "none0");
}

}  // namespace
}  // namespace orchestrate
