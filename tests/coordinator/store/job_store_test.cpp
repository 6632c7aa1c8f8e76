#include "coordinator/store/job_store.h"

#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/temporary_folder.h"
#include "coordinator/store/stored_stages.h"

namespace orchestrate {
namespace {

class JobStoreTest : public testing::Test {
  protected:
    std::filesystem::path file() const { return folder_ / "results.db"; }

    static Variant variant(const std::string& name, std::int64_t head_width,
                           const std::vector<std::uint64_t>& seeds) {
        Variant variant;
        variant.name = name;
        variant.change = name;
        variant.config.model.head_width = head_width;
        for (const std::uint64_t seed : seeds) {
            variant.runs.push_back({{seed, seed}, 0, 0, static_cast<int>(variant.runs.size())});
        }
        return variant;
    }

    static Study study() {
        Study study;
        study.name = "s";
        study.file = "/s.toml";
        return study;
    }

    static Stage stage(const std::string& name, StageKind kind) {
        Stage stage;
        stage.name = name;
        stage.kind = kind;
        return stage;
    }

    static AttemptEnded success(const AttemptId& attempt, double validation_macro_f1,
                                bool collapsed = false) {
        AttemptResult result;
        result.classes = {"funk", "punk"};
        result.metrics = {{MetricPart::validation, "macro_f1", validation_macro_f1},
                          {MetricPart::test, "accuracy", 0.5}};
        result.test_classes = {{"funk", 0.1, 0.2, 0.3, 4}, {"punk", 0.5, 0.6, 0.7, 8}};
        result.test_confusion = {{0, 1, 3}};
        result.test_predictions = {{2, 5}, {0, 1}, {1, 1}, {0.75F, 0.5F}};
        result.collapsed = collapsed;
        return {attempt, Cause::succeeded, "", result};
    }

    std::int64_t count(const std::string& sql) {
        SQLite::Database database(file().string());
        return database.execAndGet(sql).getInt64();
    }

    TemporaryFolder temporary_;
    const std::filesystem::path folder_ = temporary_.path();
    Stage stage_ = stage("ablation", StageKind::ablation);
    WorkerRecord worker_{0, "here-1", "host", 1, 1, "cpu", "/logs/here-1.log"};
};

TEST_F(JobStoreTest, JobsWithEqualConfigurationsAreOneJob) {
    JobStore store(file());
    const auto row = store.begin_study(study());
    const auto jobs =
        store.sync_stage(row, 0, stage_, {variant("a", 8, {1, 2}), variant("b", 8, {2, 3})}, {});
    ASSERT_EQ(jobs.size(), 3U);
    EXPECT_EQ(store.jobs().at(jobs[0]).title, "a, seed 1");
    EXPECT_EQ(count("SELECT count(*) FROM variant_jobs"), 4);
    EXPECT_EQ(count("SELECT count(*) FROM jobs"), 3);
}

TEST_F(JobStoreTest, AWorkerGetsTheConfigurationOfItsJob) {
    JobStore store(file());
    Variant odd = variant("b", 9, {3, 1});
    odd.config.data.label = "\"seed\":{}";                                 // reads like a key, but is a value
    Variant command = variant("c", JobConfig{}.model.head_width, {1, 2});  // all else is as by default
    command.config.command.emplace();
    command.config.command->run = {"true"};
    const std::vector<Variant> variants = {variant("a", 8, {1, 2}), odd, command, variant("d", 7, {5})};
    const auto row = store.begin_study(study());
    const auto jobs = store.sync_stage(row, 0, stage_, variants, {});
    std::size_t place = 0;
    for (const auto& variant : variants) {
        for (const auto& run : variant.runs) {
            EXPECT_EQ(store.terms(jobs.at(place++)).config, job_of(variant, run)) << place;
        }
    }
}

TEST_F(JobStoreTest, AResultIsAcceptedOnceAndOnlyFromTheCurrentAttempt) {
    JobStore store(file());
    const auto row = store.begin_study(study());
    const auto jobs = store.sync_stage(row, 0, stage_, {variant("a", 8, {1})}, {});
    const auto first = store.begin_attempt(jobs[0], worker_, "/logs");
    EXPECT_EQ(first.log_file, "/logs/job-1-attempt-1.log");
    EXPECT_TRUE(store.end_attempt({first.id, Cause::node_lost, "gone", {}}));
    const auto second = store.begin_attempt(jobs[0], worker_, "/logs");
    EXPECT_EQ(second.id.number, 2);
    EXPECT_FALSE(store.add_epoch(first.id, {}));
    EXPECT_FALSE(store.end_attempt(success(first.id, 0.4)));
    EXPECT_TRUE(store.end_attempt(success(second.id, 0.5)));
    EXPECT_FALSE(store.end_attempt(success(second.id, 0.6)));
    EXPECT_EQ(count("SELECT count(*) FROM results"), 1);
    EXPECT_EQ(count("SELECT count(*) FROM predictions"), 2);
    EXPECT_EQ(count("SELECT count(*) FROM class_metrics"), 2);
    EXPECT_THAT(store.mean_metric(row, "ablation", {MetricPart::validation, "macro_f1"}),
                testing::ElementsAre(std::optional(0.5)));
}

TEST_F(JobStoreTest, EpochsOfALaterAttemptReplaceThoseOfAnEarlierOne) {
    JobStore store(file());
    const auto row = store.begin_study(study());
    const auto jobs = store.sync_stage(row, 0, stage_, {variant("a", 8, {1})}, {});
    const auto first = store.begin_attempt(jobs[0], worker_, "/logs");
    for (std::int64_t epoch = 1; epoch <= 3; ++epoch) {
        EpochMetrics metrics;
        metrics.epoch = epoch;
        EXPECT_TRUE(store.add_epoch(first.id, metrics));
    }
    store.end_attempt({first.id, Cause::worker_crashed, "", {}});
    const auto second = store.begin_attempt(jobs[0], worker_, "/logs");
    EpochMetrics metrics;
    metrics.epoch = 1;
    EXPECT_TRUE(store.add_epoch(second.id, metrics));
    EXPECT_EQ(count("SELECT count(*) FROM epochs"), 1);
    EXPECT_EQ(count("SELECT attempt FROM epochs"), 2);
}

// Of first attempts.
const StoredCheckpoint kAt10{1, 10, "step-10", "aa", 100};
const StoredCheckpoint kAt20{1, 20, "step-20", "bb", 100};

TEST_F(JobStoreTest, KeepsTheNewestTwoCheckpointsOfTheCurrentAttempt) {
    JobStore store(file());
    const auto row = store.begin_study(study());
    const auto jobs = store.sync_stage(row, 0, stage_, {variant("a", 8, {1})}, {});
    const auto first = store.begin_attempt(jobs[0], worker_, "/logs").id;
    const StoredCheckpoint at_30{1, 30, "step-30", "cc", 100};
    EXPECT_TRUE(store.add_checkpoint(first, kAt10));
    EXPECT_TRUE(store.add_checkpoint(first, kAt20));
    EXPECT_TRUE(store.add_checkpoint(first, at_30));
    EXPECT_THAT(store.checkpoints(jobs[0]), testing::ElementsAre(at_30, kAt20));

    store.end_attempt({first, Cause::preempted, "", {}});
    EXPECT_FALSE(store.add_checkpoint(first, {1, 40, "step-40", "dd", 100}));
    // The second attempt could not read them, and began again: its checkpoints are the better ones.
    const auto second = store.begin_attempt(jobs[0], worker_, "/logs").id;
    const StoredCheckpoint again_at_10{2, 10, "step-10", "aa", 100};
    EXPECT_TRUE(store.add_checkpoint(second, again_at_10));
    EXPECT_THAT(store.checkpoints(jobs[0]), testing::ElementsAre(again_at_10, at_30));
    EXPECT_FALSE(store.add_checkpoint(first, {1, 50, "step-50", "ee", 100}));

    store.end_attempt(success(second, 0.5));
    EXPECT_THAT(store.checkpoints(jobs[0]), testing::IsEmpty());
}

TEST_F(JobStoreTest, AnAttemptThatResumesForgetsTheEpochsAfterItsStep) {
    JobStore store(file());
    const auto row = store.begin_study(study());
    const auto jobs = store.sync_stage(row, 0, stage_, {variant("a", 8, {1})}, {});
    const auto first = store.begin_attempt(jobs[0], worker_, "/logs").id;
    EpochMetrics metrics;
    for (metrics.epoch = 1; metrics.epoch <= 3; ++metrics.epoch) {
        store.add_epoch(first, metrics);
    }
    store.end_attempt({first, Cause::node_lost, "", {}});
    const auto second = store.begin_attempt(jobs[0], worker_, "/logs").id;
    EXPECT_FALSE(store.resume_attempt(first, {1, 25, 40, 2}));
    EXPECT_TRUE(store.resume_attempt(second, {1, 25, 40, 2}));
    EXPECT_EQ(count("SELECT max(epoch) FROM epochs"), 2);
    EXPECT_EQ(count("SELECT resumed_step FROM attempts WHERE number = 2 AND resumed_attempt = 1"), 25);
    for (metrics.epoch = 1; metrics.epoch <= 2; ++metrics.epoch) {
        store.add_epoch(second, metrics);  // as the checkpoint has them
    }
    EXPECT_EQ(count("SELECT count(*) FROM epochs WHERE attempt = 2"), 2);
}

TEST_F(JobStoreTest, ACheckpointThatCouldNotBeReportedIsKnownOnceAnAttemptGoesOnFromIt) {
    JobStore store(file());
    const auto row = store.begin_study(study());
    const auto jobs = store.sync_stage(row, 0, stage_, {variant("a", 8, {1})}, {});
    const auto first = store.begin_attempt(jobs[0], worker_, "/logs").id;
    store.add_checkpoint(first, kAt10);
    store.end_attempt({first, Cause::node_lost, "", {}});
    const auto second = store.begin_attempt(jobs[0], worker_, "/logs").id;
    EXPECT_FALSE(store.resume_attempt(first, {1, 20, 40, 1, "step-20", "bb", 100}));
    EXPECT_TRUE(store.resume_attempt(second, {1, 20, 40, 1, "step-20", "bb", 100}));
    EXPECT_THAT(store.checkpoints(jobs[0]), testing::ElementsAre(kAt20, kAt10));
    EXPECT_EQ(count("SELECT count(*) FROM checkpoints WHERE step = 20 AND sha256 = 'bb' AND attempt = 1"), 1);
    // What is known stays as it is; an older worker does not say which file it was.
    EXPECT_TRUE(store.resume_attempt(second, {1, 10, 40, 1, "step-10", "aa", 100}));
    EXPECT_TRUE(store.resume_attempt(second, {1, 15, 40, 1}));
    EXPECT_THAT(store.checkpoints(jobs[0]), testing::ElementsAre(kAt20, kAt10));
}

TEST_F(JobStoreTest, AResultOfAnotherJobIsRefused) {
    JobStore store(file());
    const auto row = store.begin_study(study());
    const auto jobs = store.sync_stage(row, 0, stage_, {variant("a", 8, {1})}, {});
    const auto begun = store.begin_attempt(jobs[0], worker_, "/logs");
    auto ended = success(begun.id, 0.5);
    ended.job_identity = std::string(64, '0');  // left on disk by a database that had this job's number
    EXPECT_FALSE(store.end_attempt(ended));
    ended.job_identity = job_identity(store.terms(jobs[0]).config);
    EXPECT_FALSE(store.has_succeeded(jobs[0]));
    EXPECT_TRUE(store.end_attempt(ended));
    EXPECT_TRUE(store.has_succeeded(jobs[0]));
}

TEST_F(JobStoreTest, AResultBringsTheEpochsWhoseMessagesWereLost) {
    JobStore store(file());
    const auto row = store.begin_study(study());
    const auto jobs = store.sync_stage(row, 0, stage_, {variant("a", 8, {1})}, {});
    const auto begun = store.begin_attempt(jobs[0], worker_, "/logs");
    auto ended = success(begun.id, 0.5);
    ended.epochs.resize(2);
    ended.epochs[0].epoch = 1;
    ended.epochs[1].epoch = 2;
    store.add_epoch(begun.id, ended.epochs[0]);
    store.end_attempt(ended);
    EXPECT_EQ(count("SELECT count(*) FROM epochs"), 2);
}

TEST_F(JobStoreTest, AStudyRunAgainKeepsWhatSucceededAndTriesTheRest) {
    {
        JobStore store(file());
        const auto row = store.begin_study(study());
        const auto jobs = store.sync_stage(row, 0, stage_, {variant("a", 8, {1, 2})}, {});
        const auto good = store.begin_attempt(jobs[0], worker_, "/logs");
        store.end_attempt(success(good.id, 0.5));
        const auto bad = store.begin_attempt(jobs[1], worker_, "/logs");
        store.end_attempt({bad.id, Cause::diverged, "NaN", {}});
    }
    JobStore store(file());
    const auto row = store.begin_study(study());
    const auto jobs = store.sync_stage(row, 0, stage_, {variant("a", 8, {1, 2}), variant("new", 9, {1})}, {});
    ASSERT_EQ(jobs.size(), 3U);
    EXPECT_EQ(store.jobs().at(jobs[0]).state, JobState::succeeded);
    EXPECT_EQ(store.jobs().at(jobs[1]).state, JobState::waiting);
    EXPECT_EQ(store.jobs().at(jobs[1]).failures, 0);
    EXPECT_EQ(store.jobs().at(jobs[2]).state, JobState::waiting);
    EXPECT_EQ(store.unfinished_jobs(), 2);
}

TEST_F(JobStoreTest, VariantsNoLongerInTheFileAreHiddenNotLost) {
    JobStore store(file());
    const auto row = store.begin_study(study());
    store.sync_stage(row, 0, stage_, {variant("a", 8, {1}), variant("b", 9, {1})}, {});
    store.sync_stage(row, 0, stage_, {variant("b", 9, {1})}, {});
    EXPECT_EQ(count("SELECT count(*) FROM variants"), 2);
    EXPECT_EQ(count("SELECT count(*) FROM variants WHERE hidden = 1 AND name = 'a'"), 1);
}

TEST_F(JobStoreTest, JobsThatNoStudyNamesAnyMoreAreCancelledUnlessTheyHaveBegun) {
    JobStore store(file());
    auto mine = study();
    mine.stages = {stage_};
    auto other = study();
    other.name = "other";
    other.stages = {stage_};
    const auto row = store.begin_study(mine);
    const auto jobs = store.sync_stage(
        row, 0, stage_,
        {variant("a", 8, {1}), variant("b", 9, {1}), variant("c", 10, {1, 2}), variant("d", 11, {1})}, {});
    ASSERT_EQ(jobs.size(), 5U);
    store.begin_attempt(jobs[1], worker_, "/logs");
    store.sync_stage(store.begin_study(other), 0, stage_, {variant("same as a", 8, {1})}, {});
    // a is named by the other study; b runs; c loses a seed; d is changed.
    store.sync_stage(row, 0, stage_, {variant("c", 10, {1}), variant("d", 12, {1})}, {});
    const auto state = [&](std::size_t job) {
        return count("SELECT state = 'cancelled' FROM jobs WHERE id = " + to_string(jobs[job]));
    };
    EXPECT_EQ(state(0), 0);
    EXPECT_EQ(state(1), 0);
    EXPECT_EQ(state(2), 0);
    EXPECT_EQ(state(3), 1);
    EXPECT_EQ(state(4), 1);
    EXPECT_EQ(count("SELECT count(*) FROM jobs WHERE state = 'waiting'"), 3);
    // Back in the file, it waits again.
    store.sync_stage(row, 0, stage_, {variant("c", 10, {1, 2}), variant("d", 12, {1})}, {});
    EXPECT_EQ(state(3), 0);
}

// A stage of 100,000 jobs is written a slice at a time, so that the coordinator's loop is not held.
TEST_F(JobStoreTest, AStageWrittenInSlicesIsThatWrittenAtOnce) {
    const std::vector<Variant> variants = {variant("a", 8, {1, 2}), variant("b", 9, {1, 2}),
                                           variant("c", 8, {2, 3}), variant("d", 10, {1})};
    JobStore store(file());
    const auto row = store.begin_study(study());
    StageWriter writer(row, 0, stage_, variants, {}, OldFailures::ask_again);
    std::vector<std::size_t> slices;
    std::vector<std::string> titles;
    while (!writer.is_done()) {
        const auto jobs = store.write_slice(writer, 4);
        slices.push_back(jobs.size());
        for (const auto& job : jobs) {
            titles.push_back(store.jobs().at(job).title);
        }
    }
    // "c, seed 2" is the job of "a, seed 2"; the last slice looks for jobs of variants that are gone.
    EXPECT_THAT(slices, testing::ElementsAre(4, 2, 0));
    EXPECT_THAT(titles, testing::ElementsAre("a, seed 1", "a, seed 2", "b, seed 1", "b, seed 2", "c, seed 3",
                                             "d, seed 1"));
    std::vector<std::string> at_once;
    for (const auto& job : store.sync_stage(row, 0, stage_, variants, {})) {
        at_once.push_back(store.jobs().at(job).title);
    }
    EXPECT_EQ(titles, at_once);
    EXPECT_EQ(count("SELECT count(*) FROM variants WHERE hidden = 0"), 4);
    EXPECT_EQ(count("SELECT count(*) FROM jobs WHERE state = 'waiting'"), 6);
}

TEST_F(JobStoreTest, AStageWhoseWritingWasBrokenOffIsWrittenAnew) {
    const std::vector<Variant> before = {variant("a", 8, {1, 2}), variant("gone", 9, {1, 2})};
    const std::vector<Variant> after = {variant("a", 8, {1, 3}), variant("b", 10, {1}),
                                        variant("c", 11, {1})};
    JobStore store(file());
    const auto row = store.begin_study(study());
    store.sync_stage(row, 0, stage_, before, {});
    {
        StageWriter broken_off(row, 0, stage_, after, {}, OldFailures::ask_again);
        store.write_slice(broken_off, 2);
        EXPECT_FALSE(broken_off.is_done());
    }
    store.sync_stage(row, 0, stage_, after, {});
    EXPECT_EQ(count("SELECT count(*) FROM variants WHERE hidden = 0"), 3);
    EXPECT_EQ(count("SELECT count(*) FROM jobs WHERE state = 'waiting'"), 4);
    EXPECT_EQ(count("SELECT count(*) FROM jobs WHERE state = 'cancelled'"), 3);  // "gone", "a, seed 2"
}

// Hiding what was there, and cancelling what is gone, come in slices too, also for a variant of very many seeds.
TEST_F(JobStoreTest, AStageThatReplacesAnotherIsWrittenInSlices) {
    const auto make = [](std::int64_t width) {
        std::vector<std::uint64_t> seeds(300);
        std::iota(seeds.begin(), seeds.end(), 1);
        std::vector<Variant> variants = {variant("many seeds " + std::to_string(width), width, seeds)};
        for (int i = 1; i <= 300; ++i) {
            variants.push_back(variant(std::to_string(width + i), width + i, {1}));
        }
        return variants;
    };
    JobStore store(file(), {.grouped = true, .vfs = {}, .network_file_system = {}, .sync = false});
    const auto row = store.begin_study(study());
    store.sync_stage(row, 0, stage_, make(1000), {});
    const auto variants = make(5000);
    StageWriter writer(row, 0, stage_, variants, {}, OldFailures::ask_again);
    int slices = 0;
    while (!writer.is_done()) {
        const auto before = store.instructions();
        EXPECT_LE(store.write_slice(writer, 20).size(), 20U);
        EXPECT_LE(writer.cancelled().size(), 20U);
        EXPECT_LE(store.instructions() - before, 20'000);
        ++slices;
    }
    EXPECT_GE(slices, 75);
    EXPECT_EQ(count("SELECT count(*) FROM jobs WHERE state = 'waiting'"), 600);
    EXPECT_EQ(count("SELECT count(*) FROM jobs WHERE state = 'cancelled'"), 600);
    EXPECT_EQ(count("SELECT count(*) FROM variants WHERE hidden = 0"), 301);
}

// What a slice costs does not grow with the jobs that are written already, of this study or of others.
TEST_F(JobStoreTest, ASliceCostsTheSameHoweverManyJobsThereAre) {
    std::vector<Variant> variants;
    for (int i = 0; i < 200; ++i) {
        variants.push_back(variant("v" + std::to_string(i), i + 1, {1, 2}));
    }
    JobStore store(file(), {.grouped = true, .vfs = {}, .network_file_system = {}, .sync = false});
    Study other = study();
    other.name = "other";
    store.sync_stage(store.begin_study(other), 0, stage_, variants, {});
    for (auto& changed : variants) {
        changed.config.model.head_width += 1000;
    }
    const auto row = store.begin_study(study());
    StageWriter writer(row, 0, stage_, variants, {}, OldFailures::ask_again);
    std::vector<std::int64_t> costs;
    while (!writer.is_done()) {
        const auto before = store.instructions();
        store.write_slice(writer, 100);
        costs.push_back(store.instructions() - before);
    }
    ASSERT_EQ(costs.size(), 7U);  // four write jobs; the others look for variants that are gone
    for (const std::int64_t cost : costs) {
        EXPECT_LE(cost, costs.front() + 4000);
    }
}

// Thousands of epoch lines of a command: each costs the same, also those that come again with the end.
TEST_F(JobStoreTest, WhatEpochsCostGrowsInProportion) {
    const auto cost_of = [&](int epochs) {
        const auto path = folder_ / (std::to_string(epochs) + ".db");
        JobStore store(path, {.grouped = true, .vfs = {}, .network_file_system = {}, .sync = false});
        const auto row = store.begin_study(study());
        const auto jobs = store.sync_stage(row, 0, stage_, {variant("a", 8, {1})}, {});
        std::vector<EpochMetrics> all;
        for (int epoch = 1; epoch <= epochs; ++epoch) {
            EpochMetrics& metrics = all.emplace_back();
            metrics.epoch = epoch;
            metrics.metrics = {{MetricPart::validation, "v", 0.5}};
        }
        for (int attempt = 0; attempt < 2; ++attempt) {
            const auto begun = store.begin_attempt(jobs[0], worker_, "/logs");
            for (const auto& metrics : all) {
                EXPECT_TRUE(store.add_epoch(begun.id, metrics));
            }
            store.end_attempt({begun.id, attempt == 0 ? Cause::preempted : Cause::paused, "", {}, "", all});
        }
        store.commit();
        return store.instructions();
    };
    EXPECT_LE(cost_of(800), 2.3 * static_cast<double>(cost_of(400)));
}

TEST_F(JobStoreTest, CommandEpochsOfALaterAttemptReplaceThoseOfAnEarlierOneFromWhereItBegins) {
    JobStore store(file());
    const auto row = store.begin_study(study());
    const auto jobs = store.sync_stage(row, 0, stage_, {variant("a", 8, {1})}, {});
    const auto epoch = [](std::int64_t number, double value) {
        EpochMetrics metrics;
        metrics.epoch = number;
        metrics.of_command = true;
        metrics.metrics = {{MetricPart::validation, "v", value}};
        return metrics;
    };
    const auto first = store.begin_attempt(jobs[0], worker_, "/logs");
    for (int i = 1; i <= 6; ++i) {
        store.add_epoch(first.id, epoch(i, 1));
    }
    store.end_attempt({first.id, Cause::preempted, "", {}});
    const auto second = store.begin_attempt(jobs[0], worker_, "/logs");
    EXPECT_TRUE(store.resume_attempt(second.id, {1, 0, 0, 0}));  // from files of its own
    EXPECT_EQ(count("SELECT count(*) FROM epoch_metrics"), 6);
    store.add_epoch(second.id, epoch(4, 2));
    EXPECT_EQ(count("SELECT count(*) FROM epoch_metrics"), 4);
    store.add_epoch(second.id, epoch(5, 2));
    store.add_epoch(second.id, epoch(3, 2));  // it has gone back by itself
    EXPECT_EQ(count("SELECT count(*) FROM epochs WHERE attempt = 1"), 2);
    EXPECT_EQ(count("SELECT count(*) FROM epochs WHERE attempt = 2"), 3);
}

TEST_F(JobStoreTest, CountsTheEpochsThatCameWithoutAGap) {
    JobStore store(file());
    const auto row = store.begin_study(study());
    const auto jobs = store.sync_stage(row, 0, stage_, {variant("a", 8, {1})}, {});
    const auto begun = store.begin_attempt(jobs[0], worker_, "/logs");
    EpochMetrics metrics;
    metrics.epoch = 1;
    EXPECT_EQ(store.epochs_without_gap(begun.id), 0);
    store.add_epoch(begun.id, metrics, 1);
    store.add_epoch(begun.id, metrics, 2);
    store.add_epoch(begun.id, metrics, 4);  // the third was lost with a connection
    store.add_epoch(begun.id, metrics, 5);
    EXPECT_EQ(store.epochs_without_gap(begun.id), 2);
    EXPECT_EQ(store.epochs_without_gap({begun.id.job, begun.id.number + 1}), 0);
}

TEST_F(JobStoreTest, ACopyMadeInSlicesHasWhatWasCommittedMeanwhile) {
    JobStore store(file(), {.grouped = true, .vfs = {}, .network_file_system = true, .sync = false});
    EXPECT_FALSE(store.is_shared());
    const auto row = store.begin_study(study());
    store.sync_stage(row, 0, stage_, {variant("a", 8, {1})}, {});
    store.begin_copy();
    EXPECT_FALSE(store.continue_copy(1));
    store.sync_stage(row, 0, stage_, {variant("a", 8, {1}), variant("b", 9, {1})}, {});
    std::optional<SQLite::Database> copy;
    int slices = 0;
    while (!copy) {
        copy = store.continue_copy(4);
        ++slices;
    }
    EXPECT_GT(slices, 2);
    EXPECT_EQ(copy->execAndGet("SELECT count(*) FROM variants").getInt(), 2);
    EXPECT_EQ(copy->execAndGet("PRAGMA integrity_check").getString(), "ok");
}

TEST_F(JobStoreTest, StagesNoLongerInTheFileAreHidden) {
    JobStore store(file());
    auto mine = study();
    const Stage search = stage("search", StageKind::search);
    mine.stages = {search, stage_};
    const auto row = store.begin_study(mine);
    store.sync_stage(row, 0, search, {variant("trial 1", 8, {1})}, {});
    store.sync_stage(row, 1, stage_, {variant("a", 9, {1})}, {});
    mine.stages = {stage_};
    store.begin_study(mine);
    EXPECT_EQ(count("SELECT count(*) FROM variants WHERE hidden = 1"), 1);
    EXPECT_EQ(count("SELECT count(*) FROM jobs WHERE state = 'cancelled'"), 1);
}

TEST_F(JobStoreTest, DifferencesArePairedByRun) {
    JobStore store(file());
    const auto row = store.begin_study(study());
    auto baseline = variant("baseline", 8, {1, 2, 3});
    baseline.is_baseline = true;
    auto other = variant("other", 9, {1, 2});
    other.runs[1] = {{9, 9}, 0, 0, 3};  // a seed that the baseline lacks
    const auto jobs =
        store.sync_stage(row, 0, stage_, {baseline, other, variant("without result", 10, {1})}, {});
    const double f1[] = {0.5, 0.6, 0.7, 0.45, 0.1};
    for (std::size_t i = 0; i < 5; ++i) {
        store.end_attempt(success(store.begin_attempt(jobs[i], worker_, "/logs").id, f1[i]));
    }
    const auto found = store.differences(row, "ablation", {MetricPart::validation, "macro_f1"});
    ASSERT_EQ(found.size(), 3U);
    EXPECT_FALSE(found[0]);
    ASSERT_TRUE(found[1]);
    EXPECT_EQ(found[1]->pairs, 1);
    EXPECT_NEAR(found[1]->mean, -0.05, 1e-12);
    EXPECT_FALSE(found[2]);
}

TEST_F(JobStoreTest, CollapsedRunsDoNotCountForTheBestVariant) {
    JobStore store(file());
    const auto row = store.begin_study(study());
    const auto jobs = store.sync_stage(row, 0, stage_, {variant("a", 8, {1}), variant("b", 9, {1})}, {});
    for (const auto& job : jobs) {
        const auto begun = store.begin_attempt(job, worker_, "/logs");
        const bool is_a = store.jobs().at(job).title == "a, seed 1";
        store.end_attempt(success(begun.id, is_a ? 0.9 : 0.4, is_a));
    }
    EXPECT_THAT(store.mean_metric(row, "ablation", {MetricPart::validation, "macro_f1"}),
                testing::ElementsAre(std::nullopt, std::optional(0.4)));
}

TEST_F(JobStoreTest, RemembersOpenAttemptsAndPresentWorkers) {
    {
        JobStore store(file());
        const auto row = store.begin_study(study());
        const auto jobs = store.sync_stage(row, 0, stage_, {variant("a", 8, {1})}, {});
        store.add_worker(worker_);
        store.begin_attempt(jobs[0], worker_, "/logs");
    }
    JobStore store(file());
    const auto open = store.open_attempts();
    ASSERT_EQ(open.size(), 1U);
    EXPECT_EQ(open[0].id, (AttemptId{JobId(1), 1}));
    EXPECT_EQ(open[0].worker_process, 1);
    const auto present = store.present_workers();
    ASSERT_EQ(present.size(), 1U);
    EXPECT_EQ(present[0].name, "here-1");
    store.worker_left(present[0].row, "gone");
    EXPECT_TRUE(store.present_workers().empty());
    EXPECT_EQ(store.last_worker_number(), 1);
}

TEST_F(JobStoreTest, TheLastWorkersNumberIsThatOfItsNameNotOfItsRow) {
    JobStore store(file());
    EXPECT_EQ(store.last_worker_number(), 0);
    WorkerRecord later = worker_;
    later.name = "here-17";  // others never came up, and have no row
    store.add_worker(later);
    store.add_worker(worker_);
    EXPECT_EQ(store.last_worker_number(), 17);
}

TEST_F(JobStoreTest, AJobThatDoesNotWaitCannotBeBegun) {
    JobStore store(file());
    const auto row = store.begin_study(study());
    const auto jobs = store.sync_stage(row, 0, stage_, {variant("a", 8, {1})}, {});
    const auto begun = store.begin_attempt(jobs[0], worker_, "/logs");
    EXPECT_THROW(store.begin_attempt(jobs[0], worker_, "/logs"), std::logic_error);
    store.end_attempt(success(begun.id, 0.5));
    EXPECT_THROW(store.begin_attempt(jobs[0], worker_, "/logs"), std::logic_error);
    EXPECT_THROW(store.begin_attempt(JobId(99), worker_, "/logs"), std::logic_error);
}

TEST_F(JobStoreTest, GroupedChangesAreOnDiskAfterTheCommitAndLostWithoutIt) {
    {
        JobStore store(file(), {.grouped = true, .vfs = {}, .network_file_system = {}, .sync = true});
        const auto row = store.begin_study(study());
        const auto jobs = store.sync_stage(row, 0, stage_, {variant("a", 8, {1, 2})}, {});
        const auto kept = store.begin_attempt(jobs[0], worker_, "/logs");
        store.end_attempt(success(kept.id, 0.5));
        EXPECT_EQ(count("SELECT count(*) FROM results"), 0);
        EXPECT_EQ(store.pending_changes(), 2U);
        store.commit();
        EXPECT_EQ(store.commits(), 1);
        EXPECT_EQ(count("SELECT count(*) FROM results"), 1);
        store.begin_attempt(jobs[1], worker_, "/logs");
    }
    EXPECT_EQ(count("SELECT count(*) FROM attempts"), 1);
    EXPECT_EQ(count("SELECT count(*) FROM jobs WHERE state = 'waiting'"), 1);
}

TEST_F(JobStoreTest, RefusesAFileThatIsNoDatabase) {
    std::filesystem::create_directory(file());
    EXPECT_THROW(JobStore store(file()), UserError);
}

}  // namespace
}  // namespace orchestrate
