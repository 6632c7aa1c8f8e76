#include "coordinator/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orchestrate {
namespace {

using testing::HasSubstr;

// What the actions of one call were, as text: "start 2 here-1", "assign 7 here-1", "retire here-1", "broken
// here".
std::vector<std::string> act(Scheduler& scheduler) {
    std::vector<std::string> texts;
    for (const auto& action : scheduler.next_actions()) {
        if (const auto* assignment = std::get_if<AssignJob>(&action)) {
            texts.push_back("assign " + std::to_string(assignment->job) + " " + assignment->worker);
        } else if (const auto* start = std::get_if<StartWorkerAt>(&action)) {
            texts.push_back("start " + std::to_string(start->ranks) + " " + start->worker);
        } else if (const auto* retire = std::get_if<RetireWorker>(&action)) {
            texts.push_back("retire " + retire->worker);
        } else {
            texts.push_back("broken " + std::get<SiteBroken>(action).site);
        }
    }
    return texts;
}

using Texts = std::vector<std::string>;

TEST(SchedulerTest, StartsAsManyWorkersAsSlotsAndJobsAllow) {
    Scheduler scheduler;
    scheduler.add_site("here", 2);
    for (int job = 1; job <= 3; ++job) {
        scheduler.add_job(job, 1, 0);
    }
    EXPECT_EQ(act(scheduler), (Texts{"start 1 here-1", "start 1 here-2"}));
    EXPECT_EQ(act(scheduler), Texts{});
}

TEST(SchedulerTest, StartsNoMoreWorkersThanThereAreJobs) {
    Scheduler scheduler;
    scheduler.add_site("here", 8);
    scheduler.add_job(1, 1, 0);
    EXPECT_EQ(act(scheduler), Texts{"start 1 here-1"});
    EXPECT_EQ(act(scheduler), Texts{});
}

TEST(SchedulerTest, GivesJobsInOrderToWorkersThatAreReady) {
    Scheduler scheduler;
    scheduler.add_site("here", 1);
    scheduler.add_job(1, 1, 1);
    scheduler.add_job(2, 1, 0);
    act(scheduler);
    scheduler.worker_ready("here-1", "here", 1);
    EXPECT_EQ(act(scheduler), Texts{"assign 2 here-1"});
    scheduler.attempt_ended("here-1");
    EXPECT_EQ(act(scheduler), Texts{"assign 1 here-1"});
    EXPECT_EQ(scheduler.waiting_jobs(), 0U);
}

TEST(SchedulerTest, AWorkerThatLeavesGetsNoMoreJobs) {
    Scheduler scheduler;
    scheduler.add_site("here", 1);
    scheduler.add_job(1, 1, 0);
    act(scheduler);
    scheduler.worker_ready("here-1", "here", 1);
    EXPECT_EQ(act(scheduler), Texts{"assign 1 here-1"});
    scheduler.worker_leaving("here-1");
    scheduler.attempt_ended("here-1");
    scheduler.add_job(1, 1, 0);  // preempted
    EXPECT_EQ(act(scheduler), Texts{});
    scheduler.worker_gone("here-1");
    EXPECT_EQ(act(scheduler), Texts{"start 1 here-2"});
}

TEST(SchedulerTest, RetiresIdleNarrowWorkersForAWideJobAndThenGoesBack) {
    Scheduler scheduler;
    scheduler.add_site("here", 2);
    scheduler.add_job(1, 1, 0);
    scheduler.add_job(2, 1, 0);
    act(scheduler);
    scheduler.worker_ready("here-1", "here", 1);
    scheduler.worker_ready("here-2", "here", 1);
    EXPECT_EQ(act(scheduler), (Texts{"assign 1 here-1", "assign 2 here-2"}));
    scheduler.add_job(3, 2, 0);
    scheduler.add_job(4, 1, 0);
    scheduler.attempt_ended("here-1");
    // The wide job goes first; the narrow one must not keep its slots busy.
    EXPECT_EQ(act(scheduler), Texts{"retire here-1"});
    scheduler.worker_gone("here-1");
    EXPECT_EQ(act(scheduler), Texts{});
    scheduler.attempt_ended("here-2");
    EXPECT_EQ(act(scheduler), Texts{"retire here-2"});
    scheduler.worker_gone("here-2");
    EXPECT_EQ(act(scheduler), Texts{"start 2 here-3"});
    scheduler.worker_ready("here-3", "here", 2);
    EXPECT_EQ(act(scheduler), Texts{"assign 3 here-3"});
    scheduler.attempt_ended("here-3");
    EXPECT_EQ(act(scheduler), Texts{"retire here-3"});
    scheduler.worker_gone("here-3");
    EXPECT_EQ(act(scheduler), Texts{"start 1 here-4"});
}

TEST(SchedulerTest, PutsAWideJobOnAnotherSiteThatHasRoom) {
    Scheduler scheduler;
    scheduler.add_site("a", 1);
    scheduler.add_site("b", 4);
    scheduler.add_job(1, 4, 0);
    EXPECT_EQ(act(scheduler), Texts{"start 4 b-1"});
}

TEST(SchedulerTest, GivesUpASiteWhereNoWorkerComesUp) {
    Scheduler scheduler;
    scheduler.add_site("here", 1);
    scheduler.add_job(1, 1, 0);
    for (int attempt = 1; attempt <= Scheduler::kMaximumStartFailures; ++attempt) {
        EXPECT_EQ(act(scheduler), Texts{"start 1 here-" + std::to_string(attempt)});
        scheduler.worker_gone("here-" + std::to_string(attempt));
    }
    EXPECT_EQ(act(scheduler), Texts{"broken here"});
    EXPECT_EQ(act(scheduler), Texts{});
    EXPECT_THAT(scheduler.why_waiting(1), HasSubstr("do not come up"));
}

TEST(SchedulerTest, AWorkerThatCameUpClearsEarlierFailures) {
    Scheduler scheduler;
    scheduler.add_site("here", 1);
    scheduler.add_job(1, 1, 0);
    for (int attempt = 1; attempt < 3 * Scheduler::kMaximumStartFailures; ++attempt) {
        const std::string name = "here-" + std::to_string(attempt);
        ASSERT_EQ(act(scheduler), Texts{"start 1 " + name});
        if (attempt % 2 == 0) {
            scheduler.worker_ready(name, "here", 1);
        }
        scheduler.worker_gone(name);
    }
}

TEST(SchedulerTest, CountsExpectedWorkersOfAnEarlierCoordinator) {
    Scheduler scheduler(7);
    scheduler.add_site("here", 2);
    scheduler.worker_expected("here-7", "here", 1);
    scheduler.add_job(1, 1, 0);
    scheduler.add_job(2, 1, 0);
    EXPECT_EQ(act(scheduler), Texts{"start 1 here-8"});
    scheduler.worker_busy("here-7", "here", 1, 1);
    scheduler.worker_ready("here-8", "here", 1);
    EXPECT_EQ(act(scheduler), Texts{"assign 2 here-8"});
}

TEST(SchedulerTest, WorkersOfAnEarlierCoordinatorThatStayAwayAreNoFailuresOfTheSite) {
    Scheduler scheduler(7);
    scheduler.add_site("here", 7);
    for (int number = 1; number <= 7; ++number) {
        scheduler.worker_expected("here-" + std::to_string(number), "here", 1);
    }
    for (int number = 1; number <= 7; ++number) {
        scheduler.worker_gone("here-" + std::to_string(number));
    }
    scheduler.add_job(1, 1, 0);
    EXPECT_EQ(act(scheduler), Texts{"start 1 here-8"});
}

TEST(SchedulerTest, AddingAJobTwiceKeepsOneEntry) {
    Scheduler scheduler;
    scheduler.add_job(1, 1, 0);
    scheduler.add_job(1, 2, 5);
    EXPECT_EQ(scheduler.waiting_jobs(), 1U);
    EXPECT_THAT(scheduler.why_waiting(1), HasSubstr("no machine"));
    scheduler.add_site("here", 1);
    EXPECT_THAT(scheduler.why_waiting(1), HasSubstr("2 ranks"));
}

}  // namespace
}  // namespace orchestrate
