// What a worker decides, one behaviour per test: events go in, and what it asks of its process is recorded.
#include "worker/core/worker_core.h"

#include <csignal>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include "common/base/worker_exit.h"
#include "tests/common/simulated_disk.h"

namespace orchestrate::test {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

constexpr const char* kFolder = "/logs/unacknowledged/f00d";
constexpr auto kHeartbeat = 4000ms;

Lease lease_of(std::int64_t job) {
    Lease lease;
    lease.attempt = {JobId(job), 1};
    return lease;
}

AttemptEnded end_of(std::int64_t job, Cause cause, const std::string& message = "") {
    return {{JobId(job), 1}, cause, message, {}, "identity"};
}

AttemptEnded success_of(std::int64_t job, double seconds = 0.1) {
    AttemptEnded ended = end_of(job, Cause::succeeded);
    ended.result.emplace();
    ended.result->total_seconds = seconds;
    return ended;
}

class WorkerCoreTest : public testing::Test, protected WorkerEnv {
  protected:
    WorkerCoreTest() { core_.open_results(kFolder); }

    void send(const WorkerReport& message) override { sent_.push_back(message); }
    bool sees(const SharedFolderMark&) override { return sees_; }
    void start(const Lease& lease) override { started_.push_back(lease); }
    void start_with_transfers(const Lease& lease) override {
        transferred_.push_back(lease.attempt.job.value());
    }
    bool stop(const AttemptId& attempt, Cause cause) override {
        stopped_.emplace_back(attempt.job.value(), cause);
        return !is_fetching_;
    }
    void epochs_stored(const AttemptId& attempt, std::int64_t number) override {
        epochs_stored_.emplace_back(attempt.job.value(), number);
    }
    bool can_run() const override { return can_run_; }
    void drop_transfers(const AttemptId& attempt) override {
        if (waiting_end_ && waiting_end_->attempt == attempt) {
            core_.on_report(*std::exchange(waiting_end_, std::nullopt));
        }
    }
    void resume_transfers() override { transfers_run_ = true; }
    void suspend_transfers() override { transfers_run_ = false; }
    void end(int exit_code) override { exit_code_ = exit_code; }

    // The coordinator says that all that the worker holds is still its own.
    void connect() { connect_with(core_.hello().held); }
    void connect_with(std::vector<AttemptId> current) {
        Welcome welcome;
        welcome.heartbeat_interval_milliseconds = kHeartbeat.count();
        welcome.current = std::move(current);
        core_.on_connected(welcome, "coordinator:1", now_);
    }
    void disconnect() { core_.on_disconnected(now_); }
    void hear(const CoordinatorToWorker& message) { core_.on_message(message, now_); }
    void take(std::initializer_list<std::int64_t> jobs) {
        for (const std::int64_t job : jobs) {
            hear(lease_of(job));
        }
    }
    void report(const AttemptEnded& ended) {
        core_.save_before_report(ended);
        core_.on_report(ended);
    }
    void acknowledge(std::int64_t job) { hear(Acknowledged{{JobId(job), 1}, false}); }
    bool beat(const std::string& lost_rank = "") { return core_.beat({7, 9, lost_rank}, now_); }

    template <class Kind>
    std::vector<Kind> sent() const {
        std::vector<Kind> found;
        for (const auto& message : sent_) {
            if (const auto* kind = std::get_if<Kind>(&message)) {
                found.push_back(*kind);
            }
        }
        return found;
    }
    // Job and cause of each end that was sent.
    std::vector<std::pair<std::int64_t, Cause>> ends() const {
        std::vector<std::pair<std::int64_t, Cause>> ends;
        for (const auto& ended : sent<AttemptEnded>()) {
            ends.emplace_back(ended.attempt.job.value(), ended.cause);
        }
        return ends;
    }
    std::vector<std::string> goodbyes() const {
        std::vector<std::string> reasons;
        for (const auto& goodbye : sent<Goodbye>()) {
            reasons.push_back(goodbye.reason);
        }
        return reasons;
    }
    std::vector<std::int64_t> started() const {
        std::vector<std::int64_t> jobs;
        for (const auto& lease : started_) {
            jobs.push_back(lease.attempt.job.value());
        }
        return jobs;
    }
    std::vector<std::int64_t> held() const {
        std::vector<std::int64_t> jobs;
        for (const auto& attempt : core_.hello().held) {
            jobs.push_back(attempt.job.value());
        }
        return jobs;
    }
    std::vector<std::int64_t> on_disk() {
        std::vector<std::int64_t> jobs;
        for (const auto& ended : ResultSpool(disk_, kFolder).leftovers().results) {
            jobs.push_back(ended.attempt.job.value());
        }
        return jobs;
    }

    SimulatedDisk disk_;
    std::ostringstream log_;
    WorkerCore::Time now_{1h};
    WorkerCore core_{
        {Hello{}, 120s},
        *this,
        disk_,
        std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_st>(log_)),
        now_};

    std::vector<WorkerReport> sent_;
    std::vector<Lease> started_;
    std::vector<std::int64_t> transferred_;
    std::vector<std::pair<std::int64_t, Cause>> stopped_;
    std::vector<std::pair<std::int64_t, std::int64_t>> epochs_stored_;
    std::optional<AttemptEnded> waiting_end_;  // for a transfer
    std::optional<int> exit_code_;
    bool sees_ = true;
    bool can_run_ = true;
    bool is_fetching_ = false;
    bool transfers_run_ = false;
};

// Leases.

TEST_F(WorkerCoreTest, TheFirstLeaseBeginsAtOnceAndOthersWait) {
    connect();
    take({1, 2, 3});
    EXPECT_THAT(started(), ElementsAre(1));
    EXPECT_EQ(core_.queue().size(), 2U);
}

TEST_F(WorkerCoreTest, TheNextBeginsWhenOneEndsBeforeItsAcknowledgement) {
    connect();
    take({1, 2, 3});
    report(success_of(1));
    EXPECT_THAT(started(), ElementsAre(1, 2));
    EXPECT_THAT(ends(), ElementsAre(Pair(1, Cause::succeeded)));
}

TEST_F(WorkerCoreTest, ALostCoordinatorStopsNothing) {
    connect();
    take({1, 2});
    disconnect();
    report(success_of(1));
    EXPECT_THAT(started(), ElementsAre(1, 2));
    EXPECT_THAT(stopped_, IsEmpty());
}

TEST_F(WorkerCoreTest, TheRunningAttemptIsStoppedOnRequest) {
    connect();
    take({1, 2});
    hear(StopAttempt{{JobId(1), 1}});
    EXPECT_THAT(stopped_, ElementsAre(Pair(1, Cause::cancelled)));
    EXPECT_THAT(ends(), IsEmpty());  // the runner reports it
}

TEST_F(WorkerCoreTest, AWaitingAttemptIsCancelledOnRequest) {
    connect();
    take({1, 2});
    hear(StopAttempt{{JobId(2), 1}});
    EXPECT_THAT(stopped_, IsEmpty());
    EXPECT_THAT(ends(), ElementsAre(Pair(2, Cause::cancelled)));
    EXPECT_THAT(held(), ElementsAre(1));
}

TEST_F(WorkerCoreTest, ARequestToStopAnotherAttemptOfTheJobChangesNothing) {
    connect();
    take({1});
    hear(StopAttempt{{JobId(1), 2}});
    EXPECT_THAT(stopped_, IsEmpty());
    EXPECT_THAT(ends(), IsEmpty());
}

TEST_F(WorkerCoreTest, AnAttemptThatWaitsForItsCheckpointEndsHereAndTheNextBegins) {
    connect();
    take({1, 2});
    is_fetching_ = true;
    hear(StopAttempt{{JobId(1), 1}});
    EXPECT_THAT(ends(), ElementsAre(Pair(1, Cause::cancelled)));
    EXPECT_THAT(started(), ElementsAre(1, 2));
    EXPECT_THAT(held(), ElementsAre(1, 2));  // until it is acknowledged
}

TEST_F(WorkerCoreTest, OnlyWhatHasNotBegunIsHandedBack) {
    connect();
    take({1, 2, 3});
    hear(RetractLeases{{{JobId(1), 1}, {JobId(3), 1}, {JobId(9), 1}}});
    ASSERT_THAT(ends(), ElementsAre(Pair(3, Cause::preempted)));
    EXPECT_EQ(sent<AttemptEnded>()[0].message, "handed back, before it began");
    EXPECT_THAT(held(), ElementsAre(1, 2));
}

TEST_F(WorkerCoreTest, StoredEpochsAreToldToTheRunner) {
    connect();
    hear(EpochsStored{{JobId(1), 1}, 5});
    EXPECT_THAT(epochs_stored_, ElementsAre(Pair(1, 5)));
}

TEST_F(WorkerCoreTest, TroubleOfTheHostGivesBackWhatHasNotBegun) {
    connect();
    take({1, 2, 3});
    report(end_of(1, Cause::node_lost, "no space left"));
    EXPECT_THAT(ends(),
                ElementsAre(Pair(1, Cause::node_lost), Pair(2, Cause::preempted), Pair(3, Cause::preempted)));
    EXPECT_THAT(started(), ElementsAre(1));
    EXPECT_FALSE(exit_code_);
}

// Directories that this host does not see.

TEST_F(WorkerCoreTest, ATrainingOnAnotherHostTransfersItsFiles) {
    sees_ = false;
    connect();
    take({1});
    EXPECT_THAT(transferred_, ElementsAre(1));
    EXPECT_THAT(started(), IsEmpty());
}

TEST_F(WorkerCoreTest, ACommandOnAnotherHostRunsWithoutCheckpointsAndThisIsNotedOnce) {
    sees_ = false;
    connect();
    for (const std::int64_t job : {1, 2}) {
        Lease lease = lease_of(job);
        lease.config.command.emplace();
        lease.checkpoints.folder = "/checkpoints";
        lease.checkpoints.resume_from.emplace_back();
        lease.checkpoints.mark.file = "/shared/mark";
        hear(lease);
        report(success_of(job));
    }
    ASSERT_THAT(started(), ElementsAre(1, 2));
    EXPECT_EQ(started_[1].checkpoints.folder, "");
    EXPECT_THAT(started_[1].checkpoints.resume_from, IsEmpty());
    ASSERT_EQ(sent<WorkerNote>().size(), 1U);
    EXPECT_THAT(sent<WorkerNote>()[0].text, HasSubstr("this host does not see '/shared'"));
}

// Reconnecting.

TEST_F(WorkerCoreTest, TheHelloNamesAllThatItHoldsInOrder) {
    connect();
    take({1, 2, 3});
    report(success_of(1));
    const Hello hello = core_.hello();
    EXPECT_THAT(hello.held,
                ElementsAre(AttemptId{JobId(1), 1}, AttemptId{JobId(2), 1}, AttemptId{JobId(3), 1}));
}

TEST_F(WorkerCoreTest, TheHelloOfAnIdleWorkerNamesTheResultThatWaits) {
    connect();
    take({1});
    report(success_of(1));
    EXPECT_THAT(core_.hello().held, ElementsAre(AttemptId{JobId(1), 1}));
    acknowledge(1);
    EXPECT_THAT(core_.hello().held, IsEmpty());
    EXPECT_THAT(held(), IsEmpty());
}

TEST_F(WorkerCoreTest, AnUnacknowledgedEndIsReportedAgain) {
    connect();
    take({1, 2});
    report(success_of(1));
    report(end_of(2, Cause::diverged));
    disconnect();
    sent_.clear();
    connect();
    EXPECT_THAT(ends(), ElementsAre(Pair(1, Cause::succeeded), Pair(2, Cause::diverged)));
}

TEST_F(WorkerCoreTest, AnEndThatIsNoLongerWantedIsReportedUntilItIsAcknowledgedAsStale) {
    connect();
    take({1});
    report(success_of(1));
    disconnect();
    sent_.clear();
    connect_with({});
    EXPECT_THAT(ends(), ElementsAre(Pair(1, Cause::succeeded)));
    hear(Acknowledged{{JobId(1), 1}, true});
    EXPECT_THAT(held(), IsEmpty());
    EXPECT_THAT(log_.str(), HasSubstr("the result of job 1 came too late"));
}

TEST_F(WorkerCoreTest, WhatWasReportedWithoutAConnectionFollowsInOrderButForProgress) {
    connect();
    take({1});
    disconnect();
    sent_.clear();
    core_.on_report(AttemptEpoch{{JobId(1), 1}, {}, 1});
    core_.on_report(AttemptProgress{{JobId(1), 1}, {}});
    core_.on_report(CheckpointWritten{{JobId(1), 1}, {}});
    report(success_of(1));
    EXPECT_THAT(sent_, IsEmpty());
    connect();
    ASSERT_EQ(sent_.size(), 3U);
    EXPECT_TRUE(std::holds_alternative<AttemptEpoch>(sent_[0]));
    EXPECT_TRUE(std::holds_alternative<CheckpointWritten>(sent_[1]));
    EXPECT_TRUE(std::holds_alternative<AttemptEnded>(sent_[2]));
    disconnect();
    sent_.clear();
    connect();
    EXPECT_THAT(sent<AttemptEpoch>(), IsEmpty());  // once is enough
}

TEST_F(WorkerCoreTest, WhatHasLostItsLeaseIsStoppedOrForgotten) {
    connect();
    take({1, 2, 3});
    disconnect();
    core_.on_report(AttemptEpoch{{JobId(1), 1}, {}, 1});
    sent_.clear();
    connect_with({{JobId(3), 1}});
    EXPECT_THAT(stopped_, ElementsAre(Pair(1, Cause::cancelled)));
    EXPECT_THAT(sent_, IsEmpty());
    EXPECT_THAT(held(), ElementsAre(1, 3));  // until it has stopped
}

TEST_F(WorkerCoreTest, ALostLeaseWhoseEndWaitedForATransferDoesNotStopTheNextAttempt) {
    connect();
    take({1, 2, 3});
    disconnect();
    waiting_end_ = success_of(1);
    connect_with({{JobId(3), 1}});
    EXPECT_THAT(started(), ElementsAre(1, 3));
    EXPECT_THAT(stopped_, IsEmpty());
}

TEST_F(WorkerCoreTest, TransfersRunWhileThereIsAConnection) {
    connect();
    EXPECT_TRUE(transfers_run_);
    disconnect();
    EXPECT_FALSE(transfers_run_);
}

TEST_F(WorkerCoreTest, PausesDoubleUpToFiveSecondsUntilItHasConnected) {
    const auto pause = [&] { return core_.reconnect_after(now_, 1).value_or(0ms); };
    EXPECT_EQ(pause(), 100ms);
    EXPECT_EQ(pause(), 200ms);
    for (int i = 0; i < 10; ++i) {
        pause();
    }
    EXPECT_EQ(pause(), 5000ms);
    connect();
    disconnect();
    EXPECT_EQ(pause(), 100ms);
}

TEST_F(WorkerCoreTest, JitterScalesThePause) {
    EXPECT_EQ(core_.reconnect_after(now_, 0.5), 50ms);
    EXPECT_EQ(core_.reconnect_after(now_, 1.5), 300ms);
}

TEST_F(WorkerCoreTest, ItEndsAfterTheOrphanLimitWithoutACoordinator) {
    connect();
    now_ += 100s;
    disconnect();
    now_ += 120s;
    EXPECT_TRUE(core_.reconnect_after(now_, 1));
    now_ += 1s;
    EXPECT_FALSE(core_.reconnect_after(now_, 1));
    EXPECT_EQ(exit_code_, 1);
    EXPECT_THAT(log_.str(), HasSubstr("no coordinator for 121 s; ending"));
}

TEST_F(WorkerCoreTest, ARefusalEndsIt) {
    core_.on_refused("another program version");
    EXPECT_EQ(exit_code_, 1);
    EXPECT_FALSE(core_.reconnect_after(now_, 1));
}

// Heartbeats.

TEST_F(WorkerCoreTest, AHeartbeatTellsHowFarTheAttemptIs) {
    connect();
    EXPECT_TRUE(beat());
    ASSERT_EQ(sent<Heartbeat>().size(), 1U);
    EXPECT_EQ(sent<Heartbeat>()[0].step, 7);
    EXPECT_EQ(sent<Heartbeat>()[0].advances, 9);
}

TEST_F(WorkerCoreTest, ACoordinatorThatMissesThreeHeartbeatsIsLeft) {
    connect();
    now_ += 3 * kHeartbeat;
    EXPECT_TRUE(beat());
    now_ += 1ms;
    sent_.clear();
    EXPECT_FALSE(beat());
    EXPECT_THAT(sent_, IsEmpty());
}

TEST_F(WorkerCoreTest, EveryMessageIsASignOfLife) {
    connect();
    now_ += 2 * kHeartbeat;
    hear(Heartbeat{});
    now_ += 2 * kHeartbeat;
    EXPECT_TRUE(beat());
}

// Results on disk.

TEST_F(WorkerCoreTest, AResultThatTookLongIsOnDiskBeforeItIsReported) {
    connect();
    take({1});
    core_.save_before_report(success_of(1, 3600));
    EXPECT_THAT(on_disk(), ElementsAre(1));
    core_.on_report(success_of(1, 3600));
    acknowledge(1);
    EXPECT_THAT(on_disk(), IsEmpty());
}

TEST_F(WorkerCoreTest, AShortResultIsOnDiskWhenTheConnectionEnds) {
    connect();
    take({1});
    report(success_of(1));
    EXPECT_THAT(on_disk(), IsEmpty());
    disconnect();
    EXPECT_THAT(on_disk(), ElementsAre(1));
}

TEST_F(WorkerCoreTest, AShortResultWithoutAConnectionIsOnDiskAtOnce) {
    connect();
    take({1});
    disconnect();
    report(success_of(1));
    EXPECT_THAT(on_disk(), ElementsAre(1));
}

TEST_F(WorkerCoreTest, AShortResultThatWaitsIsOnDiskAtTheSecondHeartbeat) {
    connect();
    take({1});
    report(success_of(1));
    beat();
    EXPECT_THAT(on_disk(), IsEmpty());
    beat();
    EXPECT_THAT(on_disk(), ElementsAre(1));
}

TEST_F(WorkerCoreTest, ItDeliversWhatAnEarlierWorkerHasLeft) {
    ResultSpool(disk_, "/logs/unacknowledged/cafe").put(success_of(5));
    WorkerCore next({Hello{}, 120s}, *this, disk_, spdlog::default_logger(), now_);
    next.open_results("/logs/unacknowledged/cafe");
    EXPECT_THAT(next.hello().held, IsEmpty());
    next.on_connected({}, "coordinator:1", now_);
    EXPECT_THAT(ends(), ElementsAre(Pair(5, Cause::succeeded)));
}

// Leaving.

TEST_F(WorkerCoreTest, ARetiredWorkerThatHoldsNothingEnds) {
    connect();
    hear(Retire{});
    EXPECT_THAT(goodbyes(), ElementsAre("retired"));
    EXPECT_EQ(exit_code_, 0);
}

TEST_F(WorkerCoreTest, OneThatLeavesGivesBackStopsAndEndsOnceAllIsAcknowledged) {
    connect();
    take({1, 2});
    core_.on_signal(SIGTERM);
    EXPECT_THAT(goodbyes(), ElementsAre("signal 15"));
    EXPECT_THAT(ends(), ElementsAre(Pair(2, Cause::preempted)));
    EXPECT_THAT(stopped_, ElementsAre(Pair(1, Cause::preempted)));
    report(end_of(1, Cause::preempted));
    EXPECT_FALSE(exit_code_);
    acknowledge(1);
    EXPECT_EQ(exit_code_, 0);
}

TEST_F(WorkerCoreTest, OneThatLeavesTakesNoLease) {
    connect();
    take({1});
    hear(Retire{});
    take({2});
    EXPECT_THAT(ends(), ElementsAre(Pair(2, Cause::preempted)));
    EXPECT_THAT(started(), ElementsAre(1));
    EXPECT_THAT(held(), ElementsAre(1));
}

TEST_F(WorkerCoreTest, OneThatLeavesWithoutAConnectionSaysSoInTheNext) {
    connect();
    take({1});
    disconnect();
    core_.on_signal(SIGINT);
    EXPECT_THAT(goodbyes(), IsEmpty());
    connect();
    EXPECT_THAT(goodbyes(), ElementsAre("signal 2"));
}

TEST_F(WorkerCoreTest, OneThatLeavesDoesNotLookForACoordinator) {
    connect();
    take({1});
    core_.on_signal(SIGTERM);
    disconnect();
    EXPECT_FALSE(core_.reconnect_after(now_, 1));
    EXPECT_EQ(exit_code_, 1);
}

// Lost ranks.

TEST_F(WorkerCoreTest, ALostRankEndsAnIdleWorker) {
    connect();
    beat("rank 1 is silent");
    EXPECT_THAT(goodbyes(), ElementsAre("rank 1 is silent"));
    EXPECT_THAT(ends(), IsEmpty());
    EXPECT_EQ(exit_code_, kExitRankLost);
}

TEST_F(WorkerCoreTest, AnAttemptThatALostRankHoldsUpIsEndedAfterOneMoreHeartbeat) {
    connect();
    take({1});
    beat("rank 1 is silent");
    EXPECT_FALSE(exit_code_);
    beat("rank 1 is silent");
    EXPECT_THAT(ends(), ElementsAre(Pair(1, Cause::node_lost)));
    EXPECT_EQ(exit_code_, kExitRankLost);
}

TEST_F(WorkerCoreTest, ARankThatIsLostAfterASignalHasCrashed) {
    connect();
    take({1});
    core_.on_signal(SIGTERM);
    beat("rank 1 is silent");
    beat("rank 1 is silent");
    ASSERT_THAT(ends(), ElementsAre(Pair(1, Cause::worker_crashed)));
    EXPECT_EQ(sent<AttemptEnded>()[0].message, "rank 1 is silent, after its launcher had sent signal 15");
}

TEST_F(WorkerCoreTest, AnAttemptThatReportsALostRankEndsTheWorkerAndBeginsNothing) {
    connect();
    take({1, 2});
    can_run_ = false;
    report(end_of(1, Cause::node_lost, "rank 1 is silent"));
    EXPECT_THAT(goodbyes(), ElementsAre("a rank was lost"));
    EXPECT_THAT(ends(), ElementsAre(Pair(1, Cause::node_lost)));
    EXPECT_THAT(started(), ElementsAre(1));
    EXPECT_EQ(exit_code_, kExitRankLost);
}

TEST_F(WorkerCoreTest, ALeaseThatComesWhileAWorkerEndsDoesNotBegin) {
    connect();
    take({1});
    can_run_ = false;
    report(end_of(1, Cause::node_lost, "rank 1 is silent"));
    take({2});
    EXPECT_THAT(started(), ElementsAre(1));
    EXPECT_THAT(held(), ElementsAre(1, 2));
}

TEST_F(WorkerCoreTest, RanksThatAreOutOfStepEndTheWorkerWithAnotherCode) {
    connect();
    take({1});
    can_run_ = false;
    report(end_of(1, Cause::worker_crashed));
    EXPECT_EQ(exit_code_, kExitOutOfStep);
}

}  // namespace
}  // namespace orchestrate::test
