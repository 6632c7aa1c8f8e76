// A search with rungs over a job store and a dispatcher: who is leased how far, what pauses, what goes on, and after a
// restart.
#include "coordinator/studies/search_halving.h"

#include <algorithm>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/null_sink.h>
#include <sqlite3.h>

#include "results/schema.h"
#include "results/tables.h"

namespace orchestrate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const int kOpen = SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE | SQLite::OPEN_URI;

class Nowhere final : public DispatcherEnv {
  public:
    std::chrono::steady_clock::time_point now() override { return {}; }
    void note(const std::string& line) override { notes.push_back(line); }
    bool has_ended(const std::string&, std::int64_t) override { return true; }
    CheckpointPlan plan_checkpoints(const AttemptId&, std::vector<StoredCheckpoint> stored) override {
        CheckpointPlan plan;
        plan.resume_from = std::move(stored);
        return plan;
    }
    void keep_checkpoints(const AttemptId&, const std::vector<StoredCheckpoint>&) override {}
    void remove_checkpoints(JobId job) override { removed.push_back(job); }
    std::vector<JobId> jobs_with_checkpoints() override { return {}; }
    std::string allocation_state(const std::string&) override { return ""; }

    std::vector<std::string> notes;
    std::vector<JobId> removed;
};

// A worker that keeps what it is told.
class Hands final : public Peer {
  public:
    void answer(const HelloReply& /*reply*/) override {}
    void send(const CoordinatorToWorker& message) override {
        if (const auto* lease = std::get_if<Lease>(&message)) {
            leases.push_back(*lease);
        }
    }
    void close() override {}
    std::vector<Lease> leases;
};

class SearchHalvingTest : public testing::Test, private JobObserver {
  protected:
    static constexpr std::int64_t kEpochs = 9;

    SearchHalvingTest() {
        prepare_schema(keeps_it_alive_);
        stage_.name = "search";
        stage_.kind = StageKind::search;
        stage_.halving = {{1, 3}, 3, true};
        for (int i = 0; i < 6; ++i) {
            Variant trial;
            trial.name = "trial " + std::to_string(i + 1);
            trial.config.model.head_width = 8 + i;
            trial.config.train.epochs = kEpochs;
            trial.config.train.epoch_selection = EpochSelection::last;
            trial.resources.pause_after_epoch = 1;
            trial.runs.push_back({{1, 1}, 0, 0, 0});
            trials_.push_back(trial);
        }
        open();
    }

    // As a coordinator that starts, perhaps again.
    void open() {
        halving_.reset();
        dispatcher_.reset();
        SQLite::Database database(kMemory, kOpen);
        sqlite3_trace_v2(database.getHandle(), SQLITE_TRACE_STMT, &count_read_of_epochs, &reads_of_epochs_);
        store_.emplace(std::move(database));
        const auto log =
            std::make_shared<spdlog::logger>("null", std::make_shared<spdlog::sinks::null_sink_st>());
        dispatcher_.emplace(DispatcherOptions{"", std::chrono::milliseconds(4000), {}, "/logs"}, *store_,
                            world_, log);
        dispatcher_->observe(*this);
        dispatcher_->recover();
        Study study;
        study.name = "s";
        study.file = "/s.toml";
        study_ = store_->begin_study(study);
        jobs_ = store_->sync_stage(study_, 0, stage_, trials_, {});
        dispatcher_->add_jobs(jobs_, {study_, 0});
        halving_.emplace(stage_, trials_, study_, *store_, *dispatcher_);
        hands_ = std::make_shared<Hands>();
        do {
            const std::int64_t before = reads_of_epochs_;
            halving_->advance();
            max_reads_at_first_ = std::max(max_reads_at_first_, reads_of_epochs_ - before);
        } while (halving_->has_more_to_do());
        dispatcher_->schedule(jobs_);
        Hello hello;
        hello.name = "hand-1";
        hello.host = "host";
        hello.process_id = 1;
        dispatcher_->worker_connected(hands_, hello);
    }

    void job_changed(JobId job, JobState /*before*/, JobState /*now*/) override {
        if (halving_) {
            halving_->job_changed(job);
        }
    }

    // As a study does after every event.
    void advance() {
        do {
            const std::int64_t before = reads_of_epochs_;
            const auto promoted = halving_->advance();
            max_reads_ = std::max(max_reads_, reads_of_epochs_ - before);
            max_promoted_ = std::max(max_promoted_, promoted.size());
        } while (halving_->has_more_to_do());
        if (!compares_) {
            return;
        }
        // One that looks at everything finds nothing to add.
        EXPECT_THAT(SearchHalving(stage_, trials_, study_, *store_, *dispatcher_).advance(), IsEmpty());
    }

    // Takes the next lease and trains it to where it is to pause or end. False if there is none.
    bool work() {
        if (hands_->leases.size() == done_) {
            return false;
        }
        const Lease lease = hands_->leases[done_++];
        const auto trial = static_cast<int>(lease.config.model.head_width - 8);
        const std::int64_t pause = lease.resources.pause_after_epoch;
        AttemptEnded ended;
        ended.attempt = lease.attempt;
        const bool pauses = pause > 0 && pause < kEpochs;
        for (std::int64_t epoch = 1; epoch <= (pauses ? pause : kEpochs); ++epoch) {
            EpochMetrics metrics;
            metrics.epoch = epoch;
            metrics.metrics = {{MetricPart::validation, "macro_f1", value_of(trial, epoch)}};
            ended.epochs.push_back(metrics);
        }
        ended.cause = pauses ? Cause::paused : Cause::succeeded;
        if (!pauses) {
            ended.result.emplace();
            ended.result->metrics = {{MetricPart::validation, "macro_f1", value_of(trial, kEpochs)}};
        }
        worked_.push_back("trial " + std::to_string(trial + 1) + " to " +
                          std::to_string(ended.epochs.size()));
        dispatcher_->worker_said("hand-1", hands_, ended);
        advance();
        return true;
    }

    // The next lease takes its worker's attempt down.
    void crash() {
        const Lease& lease = hands_->leases.at(done_++);
        dispatcher_->worker_said("hand-1", hands_,
                                 AttemptEnded{lease.attempt, Cause::worker_crashed, "", {}});
        advance();
    }

    static int count_read_of_epochs(unsigned, void* count, void*, void* sql) {
        if (std::string(static_cast<const char*>(sql)).find("FROM epochs WHERE job_id") !=
            std::string::npos) {
            ++*static_cast<std::int64_t*>(count);
        }
        return 0;
    }

    // Later trials are better, the first becomes the best of all late.
    static double value_of(int trial, std::int64_t epoch) {
        return trial == 4 && epoch > 1 ? 0.99 : 1e-4 * trial + 1e-5 * static_cast<double>(epoch);
    }

    std::string value(const std::string& sql) {
        SQLite::Database database(kMemory, kOpen);
        return database.execAndGet(sql).getString();
    }

    static constexpr const char* kMemory = "file:search-halving?mode=memory&cache=shared";
    SQLite::Database keeps_it_alive_{kMemory, kOpen};
    Nowhere world_;
    Stage stage_;
    std::vector<Variant> trials_;
    std::optional<JobStore> store_;
    std::optional<Dispatcher> dispatcher_;
    std::optional<SearchHalving> halving_;
    std::vector<JobId> jobs_;
    std::shared_ptr<Hands> hands_;
    std::size_t done_ = 0;
    StudyId study_;
    std::vector<std::string> worked_;
    std::int64_t reads_of_epochs_ = 0;
    std::size_t max_promoted_ = 0;         // the same
    std::int64_t max_reads_ = 0;           // by one call of advance()
    std::int64_t max_reads_at_first_ = 0;  // by one of those that begin the stage
    bool compares_ = true;                 // what is decided with what a look at all trials decides
};

TEST_F(SearchHalvingTest, RungByRungTheBestGoOn) {
    while (work()) {
    }
    EXPECT_THAT(worked_,
                ElementsAre("trial 1 to 1", "trial 2 to 1", "trial 3 to 1", "trial 4 to 1", "trial 5 to 1",
                            "trial 6 to 1", "trial 6 to 3", "trial 5 to 3", "trial 5 to 9"));
    EXPECT_EQ(value("SELECT group_concat(state) FROM (SELECT state FROM jobs ORDER BY id)"),
              "paused,paused,paused,paused,succeeded,paused");
    EXPECT_EQ(best_variant(store_->mean_metric(study_, "search", {MetricPart::validation, "macro_f1"})), 4U);
    EXPECT_EQ(value("SELECT group_concat(cause) FROM attempts WHERE job_id = 5"), "paused,paused,succeeded");
    SQLite::Database database(kMemory, kOpen);
    // Wide enough for the note to stand in one line.
    EXPECT_THAT(
        render_comparison(database, "s", std::nullopt, 200, OutputFormat::table),
        HasSubstr("5 of 6 jobs were stopped early: 4 after 1 epoch, 1 after 3 epochs; 16 of 54 epochs were "
                  "trained."));
}

TEST_F(SearchHalvingTest, OfThousandsOfTrialsOnlyThoseThatChangedAreRead) {
    constexpr int kTrials = 2000;
    while (trials_.size() < kTrials) {
        Variant trial = trials_.front();
        trial.name = "trial " + std::to_string(trials_.size() + 1);
        trial.config.model.head_width = 8 + static_cast<int>(trials_.size());
        trials_.push_back(trial);
    }
    open();
    compares_ = false;
    reads_of_epochs_ = 0;
    while (work()) {
    }
    EXPECT_GT(worked_.size(), static_cast<std::size_t>(kTrials));
    // At an event: the trial that ended, the one that begins, and those that are promoted, these in slices.
    EXPECT_LE(max_reads_, static_cast<std::int64_t>(SearchHalving::kTrialsAtATime) + 10);
    EXPECT_LE(max_reads_at_first_, static_cast<std::int64_t>(SearchHalving::kTrialsAtATime) + 10);
    EXPECT_LE(max_promoted_, SearchHalving::kTrialsAtATime);
    EXPECT_LE(reads_of_epochs_, 8 * static_cast<std::int64_t>(worked_.size()));
    RecordProperty("reads_of_epochs", static_cast<int>(reads_of_epochs_));
}

TEST_F(SearchHalvingTest, AQuarantinedTrialHoldsNobodyUp) {
    for (int i = 0; i < RetryLimits{}.worker_crashed; ++i) {
        ASSERT_EQ(hands_->leases.at(done_).attempt.job, jobs_[0]);
        crash();
    }
    EXPECT_EQ(value("SELECT state FROM jobs WHERE id = 1"), "quarantined");
    while (work()) {
    }
    EXPECT_THAT(worked_, ElementsAre("trial 2 to 1", "trial 3 to 1", "trial 4 to 1", "trial 5 to 1",
                                     "trial 6 to 1", "trial 6 to 3", "trial 5 to 3", "trial 5 to 9"));
}

TEST_F(SearchHalvingTest, ACoordinatorThatComesBackGoesOnWhereTheLastOneWas) {
    for (int i = 0; i < 7; ++i) {
        ASSERT_TRUE(work());
    }
    done_ = 0;
    open();
    while (work()) {
    }
    EXPECT_THAT(worked_,
                ElementsAre("trial 1 to 1", "trial 2 to 1", "trial 3 to 1", "trial 4 to 1", "trial 5 to 1",
                            "trial 6 to 1", "trial 6 to 3", "trial 5 to 3", "trial 5 to 9"));
}

TEST_F(SearchHalvingTest, AJobThatAnotherStudyWantsWholeIsTrainedToItsEnd) {
    while (work()) {
    }
    Study other;
    other.name = "other";
    other.file = "/o.toml";
    Stage stage;
    stage.name = "ablation";
    Variant whole = trials_[0];
    whole.resources.pause_after_epoch = 0;
    const auto row = store_->begin_study(other);
    const auto jobs = store_->sync_stage(row, 0, stage, {whole}, {});
    ASSERT_EQ(jobs.size(), 1U);
    EXPECT_EQ(store_->jobs().at(jobs[0]).state, JobState::waiting);
    EXPECT_EQ(store_->jobs().at(jobs[0]).resources.pause_after_epoch, 0);
    dispatcher_->add_jobs(jobs, {row, 1});
    dispatcher_->schedule(jobs);
    ASSERT_TRUE(work());
    EXPECT_EQ(worked_.back(), "trial 1 to 9");
    // The search leaves it so.
    const auto again = store_->sync_stage(study_, 0, stage_, trials_, {});
    EXPECT_EQ(store_->jobs().at(again[0]).state, JobState::succeeded);
}

TEST_F(SearchHalvingTest, WhatWasAskedForWhileItRanIsNotForgotten) {
    ASSERT_EQ(hands_->leases.size(), 1U);
    dispatcher_->promote(jobs_[0], 3);
    ASSERT_TRUE(work());                   // pauses after epoch 1, as it was told
    ASSERT_EQ(hands_->leases.size(), 2U);  // and goes on at once
    EXPECT_EQ(hands_->leases[1].attempt, (AttemptId{jobs_[0], 2}));
    EXPECT_EQ(hands_->leases[1].resources.pause_after_epoch, 3);
}

TEST_F(SearchHalvingTest, WithoutRungsInAnEditedFileAllGoOn) {
    while (work()) {
    }
    stage_.halving = {};
    for (auto& trial : trials_) {
        trial.resources.pause_after_epoch = 0;
    }
    const auto jobs = store_->sync_stage(study_, 0, stage_, trials_, {});
    int waiting = 0;
    for (const JobId job : jobs) {
        waiting += store_->jobs().at(job).state == JobState::waiting ? 1 : 0;
    }
    EXPECT_EQ(waiting, 5);
}

TEST_F(SearchHalvingTest, CheckpointsOfPausedJobsStay) {
    const Lease lease = hands_->leases.at(0);
    dispatcher_->worker_said("hand-1", hands_,
                             CheckpointWritten{lease.attempt, {1, 5, "/c/step-5.safetensors", "", 7}});
    while (work()) {
    }
    EXPECT_THAT(store_->checkpoints(lease.attempt.job), testing::SizeIs(1));
    EXPECT_THAT(world_.removed, testing::Not(testing::Contains(lease.attempt.job)));
}

}  // namespace
}  // namespace orchestrate
