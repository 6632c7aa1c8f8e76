// The views against numbers computed by hand or by another program (Python's statistics module).
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "filled_database.h"

namespace orchestrate {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TestMetrics all_equal(double value) {
    return {value, value, value, value};
}

TEST(ComparisonView, ReadsLikeATable) {
    FilledDatabase filled;
    const auto stage = filled.add_stage(filled.add_study("s"), 0, "ablation");
    const auto changed = filled.add_variant(stage, 0, "without energy");
    const auto baseline = filled.add_variant(stage, 1, "baseline", true);
    filled.add_succeeded(baseline, 0, {0.5, 0.6, 0.7, 0.62});
    filled.add_succeeded(baseline, 1, {0.52, 0.61, 0.74, 0.65});
    filled.add_succeeded(changed, 0, {0.4, 0.5, 0.6, 0.6});
    filled.add_succeeded(changed, 1, {0.42, 0.5, 0.62, 0.58});
    // statistics.stdev([50, 52]) = 1.41421..., stdev([60, 61]) = 0.70711, stdev([70, 74]) = 2.82843,
    // stdev([62, 65]) = 2.12132; differences -2 and -7: mean -4.5, stdev 3.53553.
    EXPECT_THAT(filled.rows("SELECT * FROM comparison"),
                ElementsAre("s|ablation|baseline|2/2|51.0|1.41|60.5|0.71|72.0|2.83|63.5|2.12|||",
                            "s|ablation|without energy|2/2|41.0|1.41|50.0|0.0|61.0|1.41|59.0|1.41|-4.5|3.54|"
                            "data.features without energy"));
}

TEST(ComparisonView, StandardDeviationIsThatOfASample) {
    FilledDatabase filled;
    const auto variant = filled.add_variant(filled.add_stage(filled.add_study("s"), 0, "a"), 0, "v", true);
    const double values[] = {0.02, 0.04, 0.04, 0.04, 0.05, 0.05, 0.07, 0.09};
    for (int seed = 0; seed < 8; ++seed) {
        filled.add_succeeded(variant, seed, all_equal(values[seed]));
    }
    // The textbook's list 2 4 4 4 5 5 7 9: mean 5, sum of squares 32, sample deviation sqrt(32 / 7).
    EXPECT_THAT(filled.rows("SELECT macro_f1, macro_f1_sd FROM comparison"), ElementsAre("5.0|2.14"));
    EXPECT_NEAR(filled.database().execAndGet("SELECT accuracy_sd FROM variant_summary").getDouble(),
                0.021380899352993950, 1e-15);
}

TEST(ComparisonView, StandardDeviationOfNearlyEqualNumbersIsNotLost) {
    FilledDatabase filled;
    const auto variant = filled.add_variant(filled.add_stage(filled.add_study("s"), 0, "a"), 0, "v", true);
    for (int seed = 0; seed < 3; ++seed) {
        filled.add_succeeded(variant, seed, all_equal(0.9 + 1e-9 * seed));
    }
    // stdev([0, 1e-9, 2e-9]) = 1e-9; the textbook formula with sums of squares gives 0 or worse here.
    EXPECT_NEAR(filled.database().execAndGet("SELECT macro_f1_sd FROM variant_summary").getDouble(), 1e-9,
                1e-13);
}

TEST(ComparisonView, OneSeedHasNoDeviation) {
    FilledDatabase filled;
    const auto variant = filled.add_variant(filled.add_stage(filled.add_study("s"), 0, "a"), 0, "v", true);
    filled.add_succeeded(variant, 0, all_equal(0.5));
    EXPECT_THAT(
        filled.rows("SELECT accuracy, accuracy_sd IS NULL, macro_f1_sd IS NULL, difference_sd IS NULL "
                    "FROM comparison"),
        ElementsAre("50.0|1|1|1"));
}

TEST(ComparisonView, DifferencesPairEqualSeedsOnly) {
    FilledDatabase filled;
    const auto stage = filled.add_stage(filled.add_study("s"), 0, "a");
    const auto baseline = filled.add_variant(stage, 0, "baseline", true);
    const auto changed = filled.add_variant(stage, 1, "changed");
    filled.add_succeeded(baseline, 0, all_equal(0.10));
    filled.add_succeeded(baseline, 1, all_equal(0.90));
    filled.set_state(filled.add_job(changed, 0), "failed");
    filled.add_succeeded(changed, 1, all_equal(0.80));
    filled.add_succeeded(changed, 2, all_equal(0.30));
    // Only seed 1 has both: 80 - 90. The difference of the means would be 55 - 50.
    EXPECT_THAT(filled.rows("SELECT jobs, macro_f1, difference, difference_sd IS NULL FROM comparison "
                            "WHERE variant = 'changed'"),
                ElementsAre("2/3|55.0|-10.0|1"));
    EXPECT_THAT(filled.rows("SELECT pairs FROM variant_summary ORDER BY variant_position"),
                ElementsAre("0", "1"));
}

TEST(ComparisonView, UnfinishedJobsCountButGiveNoNumbers) {
    FilledDatabase filled;
    const auto stage = filled.add_stage(filled.add_study("s"), 0, "a");
    const auto baseline = filled.add_variant(stage, 0, "baseline", true);
    const auto changed = filled.add_variant(stage, 1, "changed");
    filled.add_variant(stage, 2, "not begun");
    filled.add_succeeded(baseline, 0, all_equal(0.5));
    const auto rerun = filled.add_succeeded(changed, 0, all_equal(0.9));
    filled.set_state(rerun, "running");  // its old numbers must not count
    EXPECT_THAT(filled.rows("SELECT variant, jobs, macro_f1, difference FROM comparison"),
                ElementsAre("baseline|1/1|50.0|", "changed|0/1||", "not begun|0/0||"));
}

TEST(ComparisonView, ABaselineThatRunsAgainGivesNoDifference) {
    FilledDatabase filled;
    const auto stage = filled.add_stage(filled.add_study("s"), 0, "a");
    const auto baseline = filled.add_variant(stage, 0, "baseline", true);
    const auto changed = filled.add_variant(stage, 1, "changed");
    filled.set_state(filled.add_succeeded(baseline, 0, all_equal(0.5)), "running");
    filled.add_succeeded(changed, 0, all_equal(0.6));
    EXPECT_THAT(filled.rows("SELECT macro_f1, difference FROM comparison WHERE variant = 'changed'"),
                ElementsAre("60.0|"));
    EXPECT_THAT(filled.rows("SELECT variant, f1, difference FROM class_comparison"),
                ElementsAre("changed|50.0|", "changed|70.0|"));
}

TEST(ComparisonView, HiddenVariantsAreLeftOutEverywhere) {
    FilledDatabase filled;
    const auto stage = filled.add_stage(filled.add_study("s"), 0, "a");
    const auto gone = filled.add_variant(stage, 0, "gone", true, true);
    const auto kept = filled.add_variant(stage, 1, "kept");
    filled.add_succeeded(gone, 0, all_equal(0.5));
    filled.add_succeeded(kept, 0, all_equal(0.6));
    EXPECT_THAT(filled.rows("SELECT variant, difference FROM comparison"), ElementsAre("kept|"));
    for (const char* view : {"job_overview", "learning_curve", "class_comparison", "confusion_named",
                             "prediction_named", "seed_result"}) {
        EXPECT_THAT(filled.rows(std::string("SELECT DISTINCT variant FROM ") + view), ElementsAre("kept"))
            << view;
    }
    EXPECT_THAT(filled.rows("SELECT variants, jobs FROM study_progress"), ElementsAre("1|1"));
    EXPECT_THAT(filled.rows("SELECT job, used_by FROM attempt_overview"),
                ElementsAre("1|", "2|s / a / kept"));
}

TEST(ComparisonView, StudiesAndStagesKeepTheirOrderBaselineFirst) {
    FilledDatabase filled;
    const auto second = filled.add_study("z first made");
    const auto other = filled.add_study("a second made");
    const auto late = filled.add_stage(second, 1, "a later stage");
    const auto early = filled.add_stage(second, 0, "z earlier stage");
    filled.add_variant(filled.add_stage(other, 0, "only"), 0, "v");
    filled.add_variant(late, 5, "zeta");
    filled.add_variant(late, 7, "baseline", true);
    filled.add_variant(late, 6, "alpha");
    filled.add_variant(early, 0, "trial");
    EXPECT_THAT(filled.rows("SELECT stage, variant FROM comparison"),
                ElementsAre("z earlier stage|trial", "a later stage|baseline", "a later stage|zeta",
                            "a later stage|alpha", "only|v"));
    EXPECT_THAT(filled.rows("SELECT variant FROM comparison WHERE stage = 'a later stage'"),
                ElementsAre("baseline", "zeta", "alpha"));
}

TEST(ComparisonView, ASharedJobServesEveryVariantThatUsesIt) {
    FilledDatabase filled;
    const auto first = filled.add_stage(filled.add_study("first"), 0, "a");
    const auto second = filled.add_stage(filled.add_study("second"), 0, "a");
    const auto baseline = filled.add_variant(first, 0, "baseline", true);
    const auto same = filled.add_variant(first, 1, "same thing");
    const auto elsewhere = filled.add_variant(second, 0, "again", true);
    const auto job = filled.add_succeeded(baseline, 0, all_equal(0.5));
    filled.use_job(same, 0, job);
    filled.use_job(elsewhere, 3, job);
    EXPECT_THAT(
        filled.rows("SELECT study, variant, jobs, macro_f1, difference FROM comparison"),
        ElementsAre("first|baseline|1/1|50.0|", "first|same thing|1/1|50.0|0.0", "second|again|1/1|50.0|"));
    EXPECT_THAT(filled.rows("SELECT job, shared_by, seed_index FROM job_overview"),
                ElementsAre("1|3|0", "1|3|0", "1|3|3"));
    EXPECT_THAT(filled.rows("SELECT study, jobs, succeeded FROM study_progress"),
                ElementsAre("first|1|1", "second|1|1"));
    EXPECT_THAT(filled.rows("SELECT count(*) FROM attempt_overview"), ElementsAre("1"));
}

TEST(JobOverview, ShowsTheNewestAttempt) {
    FilledDatabase filled;
    const auto variant = filled.add_variant(filled.add_stage(filled.add_study("s"), 0, "a"), 0, "v", true);
    const auto job = filled.add_job(variant, 0);
    filled.add_attempt(job, 1, "node_lost", "silent for 12 s");
    filled.add_attempt(job, 2, "preempted");
    EXPECT_THAT(
        filled.rows("SELECT state, cause, attempts, started_at, accuracy, log_file FROM job_overview"),
        ElementsAre("waiting|preempted|2|2026-11-23T02:02:00.000Z||/logs/job-1-2.log"));
    filled.succeed(job, {0.5, 0.6, 0.7, 0.62});
    EXPECT_THAT(
        filled.rows("SELECT state, cause, attempts, accuracy, macro_precision, macro_recall, macro_f1, "
                    "selected_epoch, initialization_seed FROM job_overview"),
        ElementsAre("succeeded|succeeded|3|0.5|0.6|0.7|0.62|2|101"));
    EXPECT_THAT(filled.rows("SELECT attempt, cause, seconds, message FROM attempt_overview"),
                ElementsAre("1|node_lost|30.5|silent for 12 s", "2|preempted|30.5|", "3|succeeded|30.5|"));
}

TEST(AttemptOverview, AClockThatWasSetBackDoesNotChangeHowLongAnAttemptRan) {
    FilledDatabase filled;
    const auto variant = filled.add_variant(filled.add_stage(filled.add_study("s"), 0, "a"), 0, "v", true);
    filled.add_attempt(filled.add_job(variant, 0), 1, "preempted");
    filled.database().exec("UPDATE attempts SET seconds = 12.25, ended_at = '2026-11-23T01:00:00.000Z'");
    EXPECT_THAT(filled.rows("SELECT seconds FROM attempt_overview"), ElementsAre("12.25"));
}

TEST(AttemptOverview, ARunningAttemptHasNoEnd) {
    FilledDatabase filled;
    const auto variant = filled.add_variant(filled.add_stage(filled.add_study("s"), 0, "a"), 0, "v", true);
    filled.add_attempt(filled.add_job(variant, 0), 1, "");
    EXPECT_THAT(filled.rows("SELECT cause, ended_at IS NULL, seconds IS NULL FROM attempt_overview"),
                ElementsAre("running|1|1"));
}

TEST(LearningCurve, MarksTheSelectedEpoch) {
    FilledDatabase filled;
    const auto variant = filled.add_variant(filled.add_stage(filled.add_study("s"), 0, "a"), 0, "v", true);
    filled.add_succeeded(variant, 0, all_equal(0.5));
    EXPECT_THAT(filled.rows("SELECT epoch, train_loss, selected FROM learning_curve"),
                ElementsAre("1|1.0|0", "2|0.5|1", "3|0.333333333333333|0"));
}

TEST(ClassComparison, ComparesEachClassWithTheBaselinesOwn) {
    FilledDatabase filled;
    const auto stage = filled.add_stage(filled.add_study("s"), 0, "a");
    const auto baseline = filled.add_variant(stage, 0, "baseline", true);
    const auto changed = filled.add_variant(stage, 1, "changed");
    filled.add_succeeded(baseline, 0, all_equal(0.50));  // funk 40, punk 60
    filled.add_succeeded(baseline, 1, all_equal(0.60));  // funk 50, punk 70
    filled.add_succeeded(changed, 0, all_equal(0.40));   // funk 30: -10
    filled.add_succeeded(changed, 1, all_equal(0.56));   // funk 46: -4
    EXPECT_THAT(
        filled.rows("SELECT variant, class, seeds, support, f1, f1_sd, difference, difference_sd "
                    "FROM class_comparison"),
        ElementsAre("baseline|funk|2|2|45.0|7.07||", "baseline|punk & ska|2|2|65.0|7.07||",
                    "changed|funk|2|2|38.0|11.31|-7.0|4.24", "changed|punk & ska|2|2|58.0|11.31|-7.0|4.24"));
}

TEST(NamedViews, ShowClassesByName) {
    FilledDatabase filled;
    const auto variant = filled.add_variant(filled.add_stage(filled.add_study("s"), 0, "a"), 0, "v", true);
    filled.add_succeeded(variant, 0, all_equal(0.5));
    EXPECT_THAT(
        filled.rows("SELECT true_class, predicted_class, count, share FROM confusion_named ORDER BY 1, 2"),
        ElementsAre("funk|funk|1|0.5", "funk|punk & ska|1|0.5", "punk & ska|punk & ska|2|1.0"));
    EXPECT_THAT(
        filled.rows("SELECT line, true_class, predicted_class, probability, correct FROM prediction_named "
                    "WHERE line < 8 ORDER BY line"),
        ElementsAre("5|funk|funk|0.9|1", "7|funk|punk & ska|0.6|0"));
}

TEST(StudyProgress, CountsJobsByStateAndKeepsStagesToCome) {
    FilledDatabase filled;
    const auto study = filled.add_study("s");
    const auto stage = filled.add_stage(study, 0, "search");
    filled.add_stage(study, 1, "ablation");
    const auto variant = filled.add_variant(stage, 0, "v");
    const char* const states[] = {"waiting", "waiting", "waiting",   "running",
                                  "running", "failed",  "cancelled", "quarantined"};
    for (int seed = 0; seed < 8; ++seed) {
        filled.set_state(filled.add_job(variant, seed), states[seed]);
    }
    EXPECT_THAT(
        filled.rows(
            "SELECT stage, variants, jobs, waiting, running, succeeded, failed, cancelled, quarantined "
            "FROM study_progress"),
        ElementsAre("search|1|8|3|2|0|1|1|1", "ablation|0|0|0|0|0|0|0|0"));
}

TEST(Views, AnEmptyDatabaseHasEmptyViews) {
    FilledDatabase filled;
    EXPECT_THAT(filled.rows("SELECT * FROM comparison"), IsEmpty());
    EXPECT_THAT(filled.rows("SELECT * FROM study_progress"), IsEmpty());
}

}  // namespace
}  // namespace orchestrate
