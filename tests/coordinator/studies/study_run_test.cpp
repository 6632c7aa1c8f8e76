#include "coordinator/studies/study_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/null_sink.h>

#include "common/base/error.h"
#include "coordinator/dispatch/idle_env.h"
#include "coordinator/studies/dry_run.h"
#include "results/schema.h"
#include "tests/coordinator/simulation/small_life.h"
#include "tests/experiments/study_files.h"

namespace orchestrate {
namespace {

using test::success_of;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

constexpr const char* kStudy = R"(
[study]
name = "grid"
seeds = [1, 2]

[data]
path = "tracks.csv"
label = "genre"
features = ["energy", "tempo"]

[search]
method = "grid"
seeds = [1]

[search.space]
"model.head_width" = { choice = [8, 16] }

[[ablation]]
leave_one_out = ["energy"]
)";

SQLite::Database empty_database() {
    SQLite::Database database(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    prepare_schema(database);
    return database;
}

class World final : public IdleEnv, public StudyHost {
  public:
    std::chrono::steady_clock::time_point now() override { return clock; }
    void note(const std::string& line) override { notes.push_back(line); }

    void note_study(const std::string& study, const std::string& line) override {
        notes.push_back(study + ": " + line);
    }
    void need_workers(const Study& /*study*/) override {
        ++workers_needed;
        if (has_no_workers) {
            throw UserError("there are no such workers");
        }
    }

    void do_aside(const std::function<void()>& work) override {
        if (has_other_threads) {
            aside.push_back(work);
        } else {
            work();
        }
    }

    std::chrono::steady_clock::time_point clock;
    bool has_other_threads = false;
    std::vector<std::function<void()>> aside;  // work for them
    std::vector<std::string> notes;
    int workers_needed = 0;
    bool has_no_workers = false;
};

// What a worker is sent.
class Inbox final : public Peer {
  public:
    void answer(const HelloReply& /*reply*/) override {}
    void send(const CoordinatorToWorker& message) override { messages.push_back(message); }
    void close() override {}
    std::vector<CoordinatorToWorker> messages;
};

class StudyRunTest : public ::testing::Test {
  protected:
    StudyRunTest() { begin(); }

    void begin(OldFailures old_failures = OldFailures::ask_again, double expected_job_minutes = 0) {
        Study study = folder_.load(kStudy);
        study.expected_job_minutes = expected_job_minutes;
        const StudyId row = store_.begin_study(study, old_failures);
        run_.emplace(std::move(study), row, old_failures, store_, dispatcher_, world_, world_.now());
    }

    // Lets a worker do what it is given, each attempt ending by `cause`, until it gets no more.
    void work(Cause cause = Cause::succeeded) {
        Hello hello;
        hello.role = Role::worker;
        hello.name = "by-hand";
        const auto inbox = std::make_shared<Inbox>();
        dispatcher_.worker_connected(inbox, hello);
        for (std::size_t i = 0;; ++i) {
            after_events();
            if (i >= inbox->messages.size()) {
                break;
            }
            const CoordinatorToWorker message = inbox->messages[i];
            if (const auto* lease = std::get_if<Lease>(&message)) {
                AttemptEnded ended = success_of(lease->attempt);
                ended.result->collapsed = results_collapse_;
                if (cause != Cause::succeeded) {
                    ended = {lease->attempt, cause, "as the test says", {}};
                }
                dispatcher_.worker_said("by-hand", inbox, ended);
                after_events();
            }
        }
    }

    // What the coordinator does after every event.
    void after_events() {
        dispatcher_.commit();
        run_->advance();
        dispatcher_.commit();
    }

    std::string stored_state() {
        return store_.studies().at(0).state == *run_->outcome() ? to_string(*run_->outcome()) : "another";
    }

    bool results_collapse_ = false;  // of those that work() lets succeed
    testing::StudyFolder folder_;
    World world_;
    JobStore store_{empty_database(), {.grouped = true, .vfs = {}, .network_file_system = {}, .sync = true}};
    Dispatcher dispatcher_{
        {},
        store_,
        world_,
        std::make_shared<spdlog::logger>("null", std::make_shared<spdlog::sinks::null_sink_mt>())};
    std::optional<StudyRun> run_;
};

// Making 100,000 variants takes seconds: the coordinator's loop is not held.
TEST_F(StudyRunTest, VariantsAreMadeOnAnotherThread) {
    world_.has_other_threads = true;
    run_->advance();
    ASSERT_EQ(world_.aside.size(), 1U);
    EXPECT_EQ(run_->stage_jobs().all(), 0);
    EXPECT_TRUE(run_->writing().has_value());
    EXPECT_FALSE(run_->may_go_on());
    run_->advance();  // asked for too early
    EXPECT_EQ(world_.aside.size(), 1U);
    EXPECT_FALSE(run_->may_go_on());
    world_.aside[0]();
    EXPECT_TRUE(run_->may_go_on());
    run_->advance();
    EXPECT_EQ(run_->stage_jobs().all(), 2);
    EXPECT_FALSE(run_->writing().has_value());
}

TEST_F(StudyRunTest, AStudyMayEndWhileItsVariantsAreMade) {
    world_.has_other_threads = true;
    run_->advance();
    run_->end(StudyState::interrupted);
    EXPECT_TRUE(run_->may_go_on());
    run_->advance();
    EXPECT_EQ(stored_state(), "interrupted");
    run_.reset();
    world_.aside.at(0)();  // nobody wants them any more
}

TEST_F(StudyRunTest, GoesThroughItsStagesToTheEnd) {
    run_->advance();
    EXPECT_EQ(run_->stage_name(), "search");
    EXPECT_EQ(run_->stage_jobs().all(), 2);
    EXPECT_EQ(world_.workers_needed, 1);
    EXPECT_FALSE(run_->has_ended());
    work();
    EXPECT_EQ(run_->stage_name(), "ablation");
    EXPECT_EQ(run_->stage_jobs().in(JobState::succeeded), 4);
    EXPECT_EQ(run_->outcome(), StudyState::finished);
    EXPECT_EQ(stored_state(), "finished");
    EXPECT_THAT(world_.notes, Contains(HasSubstr("grid: best of search: ")));
}

TEST_F(StudyRunTest, WithoutABaselineItHasFailed) {
    run_->advance();
    work(Cause::diverged);
    EXPECT_EQ(run_->outcome(), StudyState::failed);
    EXPECT_EQ(run_->stage_name(), "search");
    EXPECT_THAT(world_.notes, Contains(HasSubstr("has no baseline to start from")));
}

TEST_F(StudyRunTest, WhereAllResultsCollapsedItSaysSoAndPlansNothingMore) {
    results_collapse_ = true;
    run_->advance();
    work();
    EXPECT_EQ(run_->outcome(), StudyState::failed);
    EXPECT_THAT(world_.notes, Contains(AllOf(HasSubstr("none of the 2 runs of stage 'search' that succeeded"),
                                             HasSubstr("all collapsed"), HasSubstr("no baseline"))));
    const Study study = folder_.load(kStudy);
    const DryRun planned = store_.read([&](SQLite::Database& database) { return dry_run(study, database); });
    EXPECT_TRUE(planned.stages.at(1).variants.empty()) << "run will not begin it";
    EXPECT_THAT(planned.stages.at(1).start, Contains(HasSubstr("no baseline to start from")));
}

TEST_F(StudyRunTest, AJobOfAnEarlierStageThatIsTriedAgainHoldsUpTheEnd) {
    run_->advance();
    const JobId job = *run_->jobs().begin();
    ASSERT_TRUE(dispatcher_.cancel(job));
    work();
    EXPECT_EQ(run_->outcome(), StudyState::finished) << "a job that a user cancelled has not failed";
    begin(OldFailures::keep);
    run_->advance();
    EXPECT_EQ(run_->outcome(), StudyState::finished) << "what a user cancelled was tried again by itself";
    begin(OldFailures::keep);
    ASSERT_TRUE(dispatcher_.ask_again(job));
    run_->advance();
    EXPECT_FALSE(run_->has_ended());
    work();
    EXPECT_EQ(run_->outcome(), StudyState::finished);
}

TEST_F(StudyRunTest, RunAgainByAPersonItTriesWhatWasCancelled) {
    run_->advance();
    ASSERT_TRUE(dispatcher_.cancel(*run_->jobs().begin()));
    work();
    begin(OldFailures::ask_again);
    run_->advance();
    EXPECT_FALSE(run_->has_ended());
    work();
    EXPECT_EQ(run_->outcome(), StudyState::finished);
}

TEST_F(StudyRunTest, AJobThatTakesThreeTimesAsLongAsExpectedIsSaidOnce) {
    begin(OldFailures::keep, 2);
    run_->advance();
    Hello hello;
    hello.role = Role::worker;
    hello.name = "by-hand";
    const auto inbox = std::make_shared<Inbox>();
    dispatcher_.worker_connected(inbox, hello);
    const auto overdue = Contains(HasSubstr("expected were 2 min 00 s"));
    const auto pass = [&](std::chrono::minutes time) {
        for (auto passed = std::chrono::seconds(0); passed < time; passed += std::chrono::seconds(4)) {
            world_.clock += std::chrono::seconds(4);
            dispatcher_.worker_said("by-hand", inbox, Heartbeat{});
            dispatcher_.tick();
            after_events();
        }
    };
    pass(std::chrono::minutes(6));
    EXPECT_THAT(world_.notes, Not(overdue));
    pass(std::chrono::minutes(10));
    EXPECT_THAT(world_.notes, overdue);
    EXPECT_EQ(std::count_if(world_.notes.begin(), world_.notes.end(),
                            [](const std::string& note) { return note.find("expected were") != note.npos; }),
              1);
}

TEST_F(StudyRunTest, WhatFailedElsewhereSinceItBeganIsNotRepeated) {
    run_->advance();
    const auto row = store_.begin_study(folder_.load(kStudy));
    StudyRun other(folder_.load(kStudy), row, OldFailures::ask_again, store_, dispatcher_, world_,
                   world_.now());
    work(Cause::diverged);
    other.advance();
    EXPECT_EQ(other.outcome(), StudyState::failed)
        << "jobs that had diverged since it began were tried again";
}

// Case: its last jobs ended before it looked, and no event came after.
TEST_F(StudyRunTest, WhatEndsDuringRecoveryIsSeen) {
    run_->advance();
    std::vector<AttemptId> attempts;
    WorkerRecord worker{0, "here-1", "host", 1, 1, "cpu", "/logs/here-1.log"};
    for (const JobId job : run_->jobs()) {
        attempts.push_back(store_.begin_attempt(job, worker, "/logs").id);
    }
    store_.commit();
    begin(OldFailures::keep);
    run_->advance();
    EXPECT_EQ(run_->stage_name(), "search");
    EXPECT_FALSE(run_->may_go_on());
    for (const auto& attempt : attempts) {
        AttemptEnded ended = success_of(attempt);
        ended.job_identity = job_identity(store_.terms(attempt.job).config);
        ASSERT_TRUE(dispatcher_.accept_leftover(ended));
    }
    EXPECT_TRUE(run_->may_go_on());
    run_->advance();
    EXPECT_EQ(run_->stage_name(), "ablation");
    EXPECT_FALSE(run_->may_go_on());
}

TEST_F(StudyRunTest, WhatItCannotHaveEndsItWithTheReason) {
    world_.has_no_workers = true;
    run_->advance();
    EXPECT_EQ(run_->outcome(), StudyState::interrupted);
    EXPECT_THROW(std::rethrow_exception(run_->failure()), UserError);
    EXPECT_EQ(stored_state(), "interrupted");
}

TEST_F(StudyRunTest, EndedByAPersonItStaysSo) {
    run_->advance();
    run_->end(StudyState::cancelled);
    run_->advance();
    EXPECT_EQ(stored_state(), "cancelled");
    work();
    EXPECT_EQ(run_->outcome(), StudyState::cancelled);
}

}  // namespace
}  // namespace orchestrate
