#include "coordinator/dispatch/scheduler.h"

#include <map>

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
            texts.push_back("assign " + to_string(assignment->job) + " " + assignment->worker);
        } else if (const auto* start = std::get_if<StartWorkerAt>(&action)) {
            texts.push_back("start " + std::to_string(start->shape.ranks) + " " + start->worker +
                            (start->shape.is_one_process ? " in one process" : ""));
        } else if (const auto* retire = std::get_if<RetireWorker>(&action)) {
            texts.push_back("retire " + retire->worker);
        } else if (const auto* back = std::get_if<RetractJobs>(&action)) {
            std::string text = "back " + back->worker;
            for (const auto job : back->jobs) {
                text += " " + to_string(job);
            }
            texts.push_back(text);
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
        scheduler.add_job({JobId(job), 1, 0});
    }
    EXPECT_EQ(act(scheduler), (Texts{"start 1 here-1", "start 1 here-2"}));
    EXPECT_EQ(act(scheduler), Texts{});
}

TEST(SchedulerTest, AClosedSiteIsNotBrokenByWorkersThatDoNotComeUp) {
    Scheduler scheduler;
    scheduler.add_site("going", 4);
    for (int job = 1; job <= 4; ++job) {
        scheduler.add_job({JobId(job), 1, 0});
    }
    EXPECT_EQ(act(scheduler).size(), 4U);
    scheduler.close_site("going");
    for (int worker = 1; worker <= 4; ++worker) {
        scheduler.worker_gone("going-" + std::to_string(worker));
    }
    EXPECT_EQ(act(scheduler), Texts{});
    scheduler.add_site("next", 1);
    EXPECT_EQ(act(scheduler), Texts{"start 1 next-5"});
}

TEST(SchedulerTest, AWorkerThatConnectsAtAClosedSiteGetsNothing) {
    Scheduler scheduler;
    scheduler.add_site("going", 1);
    scheduler.add_job({JobId(1), 1, 0});
    EXPECT_EQ(act(scheduler), Texts{"start 1 going-1"});
    scheduler.close_site("going");
    EXPECT_TRUE(scheduler.is_closed("going"));
    EXPECT_FALSE(scheduler.has_sound_site());
    scheduler.worker_ready("going-1", "going", 1);
    EXPECT_EQ(act(scheduler), Texts{});
    scheduler.add_site("next", 1);
    EXPECT_EQ(act(scheduler), Texts{"start 1 next-2"});
}

TEST(SchedulerTest, AWorkerThatComesUpLateShowsThatItsSiteIsNotBroken) {
    Scheduler scheduler;
    scheduler.add_site("here", 4);
    for (int job = 1; job <= 4; ++job) {
        scheduler.add_job({JobId(job), 1, 0});
    }
    EXPECT_EQ(act(scheduler).size(), 4U);
    for (int worker = 1; worker <= 3; ++worker) {
        scheduler.worker_gone("here-" + std::to_string(worker));
    }
    EXPECT_EQ(act(scheduler), Texts{"broken here"});
    scheduler.worker_ready("here-4", "here", 1);
    EXPECT_TRUE(scheduler.has_sound_site());
    EXPECT_EQ(act(scheduler),
              (Texts{"assign 1 here-4", "start 1 here-5", "start 1 here-6", "start 1 here-7"}));
}

TEST(SchedulerTest, ALateWorkerKeepsItsSlotButNotTheJobThatItWasStartedFor) {
    Scheduler scheduler;
    scheduler.add_site("here", 2);
    scheduler.add_job({JobId(1), 1, 0});
    EXPECT_EQ(act(scheduler), Texts{"start 1 here-1"});
    scheduler.worker_is_late("here-1");
    EXPECT_EQ(act(scheduler), Texts{"start 1 here-2"});
    scheduler.worker_is_late("here-2");
    EXPECT_EQ(act(scheduler), Texts{}) << "both slots are taken";
    scheduler.worker_ready("here-2", "here", 1);
    EXPECT_EQ(act(scheduler), Texts{"assign 1 here-2"});
    scheduler.worker_gone("here-1");
    scheduler.add_job({JobId(2), 1, 0});
    EXPECT_EQ(act(scheduler), Texts{"start 1 here-3"});
}

TEST(SchedulerTest, AWorkerThatRestsGetsNothingUntilItsRestIsOver) {
    Scheduler scheduler;
    scheduler.add_site("here", 1);
    scheduler.worker_ready("here-1", "here", 1);
    scheduler.rest_worker("here-1", true);
    scheduler.add_job({JobId(1), 1, 0});
    EXPECT_EQ(act(scheduler), Texts{});
    scheduler.rest_worker("here-1", false);
    EXPECT_EQ(act(scheduler), Texts{"assign 1 here-1"});
}

TEST(SchedulerTest, StartsNoMoreWorkersThanThereAreJobs) {
    Scheduler scheduler;
    scheduler.add_site("here", 8);
    scheduler.add_job({JobId(1), 1, 0});
    EXPECT_EQ(act(scheduler), Texts{"start 1 here-1"});
    EXPECT_EQ(act(scheduler), Texts{});
}

TEST(SchedulerTest, GivesJobsInOrderToWorkersThatAreReady) {
    Scheduler scheduler;
    scheduler.add_site("here", 1);
    scheduler.add_job({JobId(1), 1, 1});
    scheduler.add_job({JobId(2), 1, 0});
    act(scheduler);
    scheduler.worker_ready("here-1", "here", 1);
    EXPECT_EQ(act(scheduler), Texts{"assign 2 here-1"});
    scheduler.attempt_ended("here-1", JobId(2));
    EXPECT_EQ(act(scheduler), Texts{"assign 1 here-1"});
    EXPECT_EQ(scheduler.waiting_jobs(), 0U);
}

TEST(SchedulerTest, AWorkerThatLeavesGetsNoMoreJobs) {
    Scheduler scheduler;
    scheduler.add_site("here", 1);
    scheduler.add_job({JobId(1), 1, 0});
    act(scheduler);
    scheduler.worker_ready("here-1", "here", 1);
    EXPECT_EQ(act(scheduler), Texts{"assign 1 here-1"});
    scheduler.worker_leaving("here-1");
    scheduler.attempt_ended("here-1", JobId(1));
    scheduler.add_job({JobId(1), 1, 0});  // preempted
    EXPECT_EQ(act(scheduler), Texts{});
    scheduler.worker_gone("here-1");
    EXPECT_EQ(act(scheduler), Texts{"start 1 here-2"});
}

// Commands of several ranks run in one process, trainings in as many: neither takes the other's workers.
TEST(SchedulerTest, WorkersOfOneProcessTakeNoTrainings) {
    Scheduler scheduler;
    scheduler.add_site("here", 2);
    const WorkerShape one_process(2, true);
    scheduler.add_job({JobId(1), one_process, 0});
    scheduler.add_job({JobId(2), 2, 1});
    EXPECT_EQ(act(scheduler), Texts{"start 2 here-1 in one process"});
    scheduler.worker_ready("here-1", "here", one_process, 2);
    EXPECT_EQ(act(scheduler), Texts{"assign 1 here-1"});
    scheduler.attempt_ended("here-1", JobId(1));
    EXPECT_EQ(act(scheduler), Texts{"retire here-1"});
    scheduler.worker_gone("here-1");
    EXPECT_EQ(act(scheduler), Texts{"start 2 here-2"});
    scheduler.worker_ready("here-2", "here", 2);
    scheduler.add_job({JobId(3), one_process, 2});
    EXPECT_EQ(act(scheduler), Texts{"assign 2 here-2"});
    EXPECT_THAT(scheduler.why_waiting(JobId(3)), HasSubstr("2 ranks"));
}

// One rank is one process in any case.
TEST(SchedulerTest, WorkersOfOneRankTakeBoth) {
    Scheduler scheduler;
    scheduler.add_site("here", 1);
    scheduler.add_job({JobId(1), {1, true}, 0});
    scheduler.add_job({JobId(2), 1, 1});
    EXPECT_EQ(act(scheduler), Texts{"start 1 here-1"});
    scheduler.worker_ready("here-1", "here", 1, 2);
    scheduler.set_prefetch(1, 1);
    EXPECT_EQ(act(scheduler), (Texts{"assign 1 here-1", "assign 2 here-1"}));
}

TEST(SchedulerTest, RetiresIdleNarrowWorkersForAWideJobAndThenGoesBack) {
    Scheduler scheduler;
    scheduler.add_site("here", 2);
    scheduler.add_job({JobId(1), 1, 0});
    scheduler.add_job({JobId(2), 1, 0});
    act(scheduler);
    scheduler.worker_ready("here-1", "here", 1);
    scheduler.worker_ready("here-2", "here", 1);
    EXPECT_EQ(act(scheduler), (Texts{"assign 1 here-1", "assign 2 here-2"}));
    scheduler.add_job({JobId(3), 2, 0});
    scheduler.add_job({JobId(4), 1, 0});
    scheduler.attempt_ended("here-1", JobId(1));
    // The wide job goes first; the narrow one must not keep its slots busy.
    EXPECT_EQ(act(scheduler), Texts{"retire here-1"});
    scheduler.worker_gone("here-1");
    EXPECT_EQ(act(scheduler), Texts{});
    scheduler.attempt_ended("here-2", JobId(2));
    EXPECT_EQ(act(scheduler), Texts{"retire here-2"});
    scheduler.worker_gone("here-2");
    EXPECT_EQ(act(scheduler), Texts{"start 2 here-3"});
    scheduler.worker_ready("here-3", "here", 2);
    EXPECT_EQ(act(scheduler), Texts{"assign 3 here-3"});
    scheduler.attempt_ended("here-3", JobId(3));
    EXPECT_EQ(act(scheduler), Texts{"retire here-3"});
    scheduler.worker_gone("here-3");
    EXPECT_EQ(act(scheduler), Texts{"start 1 here-4"});
}

TEST(SchedulerTest, PutsAWideJobOnAnotherSiteThatHasRoom) {
    Scheduler scheduler;
    scheduler.add_site("a", 1);
    scheduler.add_site("b", 4);
    scheduler.add_job({JobId(1), 4, 0});
    EXPECT_EQ(act(scheduler), Texts{"start 4 b-1"});
}

TEST(SchedulerTest, GivesUpASiteWhereNoWorkerComesUp) {
    Scheduler scheduler;
    scheduler.add_site("here", 1);
    scheduler.add_job({JobId(1), 1, 0});
    for (int attempt = 1; attempt <= Scheduler::kMaximumStartFailures; ++attempt) {
        EXPECT_EQ(act(scheduler), Texts{"start 1 here-" + std::to_string(attempt)});
        scheduler.worker_gone("here-" + std::to_string(attempt));
    }
    EXPECT_EQ(act(scheduler), Texts{"broken here"});
    EXPECT_EQ(act(scheduler), Texts{});
    EXPECT_THAT(scheduler.why_waiting(JobId(1)), HasSubstr("do not come up"));
}

TEST(SchedulerTest, SaysHowManyJobsAreAhead) {
    Scheduler scheduler;
    scheduler.add_site("here", 1);
    for (const int job : {1, 2, 3}) {
        scheduler.add_job({JobId(job), 1, 0});
    }
    EXPECT_THAT(scheduler.why_waiting(JobId(1)), HasSubstr("busy; 0 jobs are ahead of it"));
    EXPECT_THAT(scheduler.why_waiting(JobId(2)), HasSubstr("busy; 1 job is ahead of it"));
    EXPECT_THAT(scheduler.why_waiting(JobId(3)), HasSubstr("busy; 2 jobs are ahead of it"));
}

TEST(SchedulerTest, AWorkerThatCameUpClearsEarlierFailures) {
    Scheduler scheduler;
    scheduler.add_site("here", 1);
    scheduler.add_job({JobId(1), 1, 0});
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
    scheduler.add_job({JobId(1), 1, 0});
    scheduler.add_job({JobId(2), 1, 0});
    EXPECT_EQ(act(scheduler), Texts{"start 1 here-8"});
    scheduler.worker_ready("here-7", "here", 1, 1, {{JobId(1), 1, 0}});
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
    scheduler.add_job({JobId(1), 1, 0});
    EXPECT_EQ(act(scheduler), Texts{"start 1 here-8"});
}

TEST(SchedulerTest, AddingAJobTwiceKeepsOneEntry) {
    Scheduler scheduler;
    scheduler.add_job({JobId(1), 1, 0});
    scheduler.add_job({JobId(1), 2, 5});
    EXPECT_EQ(scheduler.waiting_jobs(), 1U);
    EXPECT_THAT(scheduler.why_waiting(JobId(1)), HasSubstr("no machine"));
    scheduler.add_site("here", 1);
    EXPECT_THAT(scheduler.why_waiting(JobId(1)), HasSubstr("2 ranks"));
}

// Which studies the first `count` jobs belong to that a single worker gets, one after the other.
std::vector<std::int64_t> turns(Scheduler& scheduler, int count,
                                const std::map<JobId, std::int64_t>& study_of) {
    std::vector<std::int64_t> studies;
    for (int i = 0; i < count; ++i) {
        const auto actions = scheduler.next_actions();
        const auto job = std::get<AssignJob>(actions.at(0)).job;
        studies.push_back(study_of.at(job));
        scheduler.attempt_ended("here-1", job);
    }
    return studies;
}

TEST(SchedulerTest, StudiesTakeTurnsWhateverTheirSizesAndPriorities) {
    Scheduler scheduler;
    scheduler.add_site("here", 1);
    scheduler.worker_ready("here-1", "here", 1);
    std::map<JobId, std::int64_t> study_of;
    for (int job = 1; job <= 100; ++job) {
        scheduler.add_job({JobId(job), 1, 0, StudyId(7)});
        study_of[JobId(job)] = 7;
    }
    for (int job = 101; job <= 103; ++job) {
        scheduler.add_job({JobId(job), 1, 5, StudyId(8)});
        study_of[JobId(job)] = 8;
    }
    EXPECT_EQ(turns(scheduler, 8, study_of), (std::vector<std::int64_t>{7, 8, 7, 8, 7, 8, 7, 7}));
}

TEST(SchedulerTest, AStudyWithManySlotsWaitsForOneWithFew) {
    Scheduler scheduler;
    scheduler.add_site("here", 4);
    for (int job = 1; job <= 10; ++job) {
        scheduler.add_job({JobId(job), 1, 0, StudyId(7)});
    }
    for (int worker = 1; worker <= 4; ++worker) {
        scheduler.worker_ready("here-" + std::to_string(worker), "here", 1);
    }
    EXPECT_EQ(act(scheduler).size(), 4U);  // all of them, as long as it is alone
    scheduler.add_job({JobId(11), 1, 0, StudyId(8)});
    scheduler.add_job({JobId(12), 1, 0, StudyId(8)});
    scheduler.add_job({JobId(13), 1, 0, StudyId(8)});
    scheduler.attempt_ended("here-1", JobId(1));
    EXPECT_EQ(act(scheduler), Texts{"assign 11 here-1"});
    scheduler.attempt_ended("here-2", JobId(2));
    EXPECT_EQ(act(scheduler), Texts{"assign 12 here-2"});
    scheduler.attempt_ended("here-3", JobId(3));
    EXPECT_EQ(act(scheduler), Texts{"assign 5 here-3"});  // two each
    EXPECT_THAT(scheduler.why_waiting(JobId(13)), HasSubstr("1 other study takes turns"));
}

TEST(SchedulerTest, AStudyOfAHigherPriorityGoesFirstAndEqualOnesShare) {
    Scheduler scheduler;
    scheduler.add_site("here", 4);
    scheduler.set_study_priority(StudyId(8), 5);
    scheduler.set_study_priority(StudyId(9), -1);
    for (std::int64_t job = 1; job <= 6; ++job) {
        scheduler.add_job({JobId(job), 1, 0,
                           StudyId(6 + (job + 1) / 2)});  // 1, 2 of study 7; 3, 4 of study 8; 5, 6 of study 9
    }
    std::vector<std::int64_t> order;
    for (int number = 1; number <= 4; ++number) {
        scheduler.worker_ready("here-" + std::to_string(number), "here", 1);
        for (const auto& action : scheduler.next_actions()) {
            if (const auto* assigned = std::get_if<AssignJob>(&action)) {
                order.push_back(assigned->job.value());
            }
        }
    }
    EXPECT_EQ(order, (std::vector<std::int64_t>{3, 4, 1, 2}));
}

TEST(SchedulerTest, AHeldStudyWaits) {
    Scheduler scheduler;
    scheduler.add_site("here", 1);
    scheduler.worker_ready("here-1", "here", 1);
    scheduler.hold_study(StudyId(7), true);
    scheduler.add_job({JobId(1), 1, 0, StudyId(7)});
    EXPECT_EQ(act(scheduler), Texts{});
    EXPECT_EQ(scheduler.why_waiting(JobId(1)), "its study is paused");
    scheduler.hold_study(StudyId(7), false);
    EXPECT_EQ(act(scheduler), Texts{"assign 1 here-1"});
}

TEST(SchedulerTest, ShortJobsAreHeldAheadUpToTheLimitAndTheCapacity) {
    Scheduler scheduler;
    scheduler.add_site("here", 2);
    scheduler.worker_ready("here-1", "here", 1, 8);
    scheduler.worker_ready("here-2", "here", 1, 2);
    scheduler.set_prefetch(1, 2);
    for (int job = 1; job <= 9; ++job) {
        scheduler.add_job({JobId(job), 1, 0});
    }
    EXPECT_EQ(act(scheduler), (Texts{"assign 1 here-1", "assign 2 here-2", "assign 3 here-1",
                                     "assign 4 here-2", "assign 5 here-1"}));
    scheduler.attempt_ended("here-2", JobId(2));
    EXPECT_EQ(act(scheduler), Texts{"assign 6 here-2"});
}

TEST(SchedulerTest, JobsHeldAheadAreHandedBackToAWorkerThatIdles) {
    Scheduler scheduler;
    scheduler.add_site("here", 2);
    scheduler.worker_ready("here-1", "here", 1, 8);
    scheduler.set_prefetch(1, 7);
    for (int job = 1; job <= 5; ++job) {
        scheduler.add_job({JobId(job), 1, 0});
    }
    scheduler.next_actions();
    scheduler.worker_ready("here-2", "here", 1, 8);
    EXPECT_EQ(act(scheduler), Texts{"back here-1 5 4"});
    EXPECT_EQ(act(scheduler), Texts{});  // asked once
    scheduler.attempt_ended("here-1", JobId(5));
    scheduler.add_job({JobId(5), 1, 0});
    EXPECT_EQ(act(scheduler), Texts{"assign 5 here-2"});
    scheduler.attempt_ended("here-1", JobId(4));
    scheduler.add_job({JobId(4), 1, 0});
    EXPECT_EQ(act(scheduler), Texts{"assign 4 here-2"});
}

TEST(SchedulerTest, NothingWaitsBehindAJobThatTakesTooLong) {
    Scheduler scheduler;
    scheduler.add_site("here", 1);
    scheduler.worker_ready("here-1", "here", 1, 8);
    scheduler.set_prefetch(1, 2);
    for (int job = 1; job <= 4; ++job) {
        scheduler.add_job({JobId(job), 1, 0});
    }
    scheduler.next_actions();
    scheduler.worker_stalls("here-1");
    EXPECT_EQ(act(scheduler), Texts{"back here-1 3 2"});
    scheduler.attempt_ended("here-1", JobId(3));
    scheduler.add_job({JobId(3), 1, 0});
    EXPECT_EQ(act(scheduler), Texts{});
    scheduler.attempt_ended("here-1", JobId(1));  // it goes on after all
    EXPECT_EQ(act(scheduler), (Texts{"assign 3 here-1", "assign 4 here-1"}));
}

TEST(SchedulerTest, AClosedSiteGetsNeitherJobsNorWorkers) {
    Scheduler scheduler;
    scheduler.add_site("bad", 1);
    scheduler.worker_ready("bad-1", "bad", 1);
    scheduler.close_site("bad");
    scheduler.add_job({JobId(1), 1, 0});
    EXPECT_EQ(act(scheduler), Texts{});
    scheduler.worker_gone("bad-1");
    EXPECT_EQ(act(scheduler), Texts{});
    scheduler.add_site("good", 1);
    EXPECT_EQ(act(scheduler), Texts{"start 1 good-1"});
}

}  // namespace
}  // namespace orchestrate
