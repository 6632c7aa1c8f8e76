#include "coordinator/dispatch/worker_health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/dispatch/machine_trouble.h"
#include "coordinator/dispatch/prefetch_policy.h"
#include "coordinator/store/job_counts.h"

namespace orchestrate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

MATCHER_P2(IsPlace, place, jobs, "") {
    return arg.place == place && arg.jobs == jobs;
}

using Jobs = std::vector<JobId>;

Jobs numbered(std::initializer_list<std::int64_t> numbers) {
    Jobs jobs;
    for (const std::int64_t number : numbers) {
        jobs.emplace_back(number);
    }
    return jobs;
}

// The jobs fail at a place, one after the other, each in turn.
void fail(WorkerHealth& health, const std::string& place, const Jobs& jobs) {
    for (const JobId job : jobs) {
        EXPECT_THAT(health.ended(place, job, Cause::user_error), IsEmpty());
    }
}

TEST(WorkerHealthTest, APlaceWhereJobsFailThatSucceedElsewhereIsFound) {
    WorkerHealth health;
    fail(health, "bad", numbered({1, 3}));
    EXPECT_THAT(health.ended("bad", JobId(4), Cause::worker_crashed), IsEmpty());
    EXPECT_THAT(health.ended("good", JobId(1), Cause::succeeded), IsEmpty());
    EXPECT_THAT(health.ended("other", JobId(4), Cause::succeeded), IsEmpty());
    fail(health, "bad", numbered({5}));
    EXPECT_THAT(health.ended("good", JobId(3), Cause::succeeded),
                ElementsAre(IsPlace("bad", numbered({1, 3, 4, 5}))));
}

TEST(WorkerHealthTest, ThatOtherJobsSucceedElsewhereProvesNothing) {
    WorkerHealth health;
    for (int job = 1; job <= 40; job += 2) {  // every second configuration fails by itself
        fail(health, "a", numbered({job}));
        EXPECT_THAT(health.ended("b", JobId(job + 1), Cause::succeeded), IsEmpty());
    }
}

TEST(WorkerHealthTest, ASuccessEndsTheRowAndOneJobIsNotThree) {
    WorkerHealth health;
    for (int round = 0; round < 5; ++round) {
        fail(health, "a", numbered({1}));
        EXPECT_THAT(health.ended("b", JobId(1), Cause::succeeded), IsEmpty());
    }
    fail(health, "a", numbered({2, 3}));
    EXPECT_THAT(health.ended("b", JobId(2), Cause::succeeded), IsEmpty());
    EXPECT_THAT(health.ended("a", JobId(9), Cause::succeeded), IsEmpty());
    EXPECT_THAT(health.ended("b", JobId(3), Cause::succeeded), IsEmpty());
}

TEST(WorkerHealthTest, JobsThatFailElsewhereTooAreToBlameThemselves) {
    WorkerHealth health;
    fail(health, "a", numbered({1, 2, 3}));
    fail(health, "b", numbered({1, 2, 3}));
    fail(health, "c", numbered({1, 2, 3}));
    EXPECT_THAT(health.ended("a", JobId(1), Cause::succeeded),
                IsEmpty());  // flaky; and not proven elsewhere thrice
}

TEST(WorkerHealthTest, AJobIsNamedOnceOnly) {
    WorkerHealth health;
    fail(health, "a", numbered({1, 2, 3}));
    health.ended("c", JobId(1), Cause::succeeded);
    health.ended("c", JobId(2), Cause::succeeded);
    ASSERT_THAT(health.ended("c", JobId(3), Cause::succeeded),
                ElementsAre(IsPlace("a", numbered({1, 2, 3}))));
    fail(health, "b", numbered({1, 2, 3, 4}));
    health.ended("c", JobId(1), Cause::succeeded);
    health.ended("c", JobId(2), Cause::succeeded);
    EXPECT_THAT(health.ended("c", JobId(3), Cause::succeeded), ElementsAre(IsPlace("b", numbered({4}))));
}

TEST(WorkerHealthTest, InterruptionsAndTheJobsOwnFaultsDoNotCount) {
    WorkerHealth health;
    for (const Cause cause : {Cause::preempted, Cause::walltime, Cause::node_lost, Cause::diverged,
                              Cause::out_of_memory, Cause::cancelled}) {
        for (int job = 1; job <= 4; ++job) {
            EXPECT_THAT(health.ended("a", JobId(job), cause), IsEmpty());
            EXPECT_THAT(health.ended("b", JobId(job), Cause::succeeded), IsEmpty());
        }
    }
}

TEST(MachineTroubleTest, PausesAreLongerEachTimeAndSaidOnce) {
    using namespace std::chrono_literals;
    MachineTrouble trouble;
    MachineTrouble::Time now(100h);
    std::vector<std::int64_t> pauses;
    int said = 0;
    for (int i = 0; i < 9; ++i) {
        const auto reported = trouble.reported("node-1", "no space", now);
        said += reported.to_be_said ? 1 : 0;
        pauses.push_back(reported.pause.count());
        EXPECT_TRUE(trouble.is_paused("node-1"));
        EXPECT_FALSE(trouble.is_paused("node-2"));
        EXPECT_THAT(trouble.reason(), testing::HasSubstr("node-1 reports: no space"));
        // Another of its workers had a job before.
        said += trouble.reported("node-1", "no space", now).to_be_said ? 1 : 0;
        EXPECT_THAT(trouble.take_over(now + reported.pause - 1ms), IsEmpty());
        now += reported.pause;
        EXPECT_THAT(trouble.take_over(now), ElementsAre("node-1"));
        EXPECT_THAT(trouble.take_over(now), IsEmpty());
        EXPECT_TRUE(trouble.is_known("node-1"));
    }
    EXPECT_THAT(pauses, ElementsAre(1, 2, 4, 8, 16, 32, 60, 60, 60));
    EXPECT_EQ(said, 1);
    EXPECT_TRUE(trouble.succeeded("node-1"));
    EXPECT_FALSE(trouble.succeeded("node-1"));
    EXPECT_EQ(trouble.reported("node-1", "no space", now).pause, 1s);
}

TEST(MachineTroubleTest, OneReportThatIsFollowedByASuccessIsNotSaid) {
    using namespace std::chrono_literals;
    MachineTrouble trouble;
    MachineTrouble::Time now(100h);
    for (int i = 0; i < 5; ++i) {
        EXPECT_FALSE(trouble.reported("node-1", "a rank was lost", now).to_be_said);
        EXPECT_FALSE(trouble.succeeded("node-1")) << "its job began before";
        now += 1s;
        trouble.take_over(now);
        EXPECT_FALSE(trouble.succeeded("node-1"));
        EXPECT_FALSE(trouble.is_known("node-1"));
    }
}

TEST(ShortJobsTest, HoldsAheadWhatIsShortAndNothingElse) {
    PrefetchPolicy jobs;
    EXPECT_EQ(jobs.ahead(1), 0);
    for (int i = 0; i < 100; ++i) {
        jobs.took(1, std::chrono::milliseconds(50));
        jobs.took(2, std::chrono::milliseconds(1));
        jobs.took(4, std::chrono::seconds(30));
    }
    EXPECT_NEAR(jobs.ahead(1), 4, 1);
    EXPECT_EQ(jobs.ahead(2), PrefetchPolicy::kMax);
    EXPECT_EQ(jobs.ahead(4), 0);
    EXPECT_NEAR(jobs.patience(4).count(), 300, 1);
    EXPECT_EQ(jobs.patience(2).count(), 1);
    for (int i = 0; i < 100; ++i) {
        jobs.took(2, std::chrono::seconds(2));  // another study's
    }
    EXPECT_EQ(jobs.ahead(2), 0);
}

TEST(JobCountsTest, FollowsEachChange) {
    JobCounts counts;
    counts.add(JobId(1), JobState::waiting);
    counts.add(JobId(2), JobState::succeeded);
    counts.add(JobId(2), JobState::waiting);                       // known
    counts.change(JobId(3), JobState::running, JobState::failed);  // unknown
    EXPECT_EQ(counts.all(), 2);
    EXPECT_EQ(counts.unfinished(), 1);
    counts.change(JobId(1), JobState::waiting, JobState::running);
    EXPECT_EQ(counts.unfinished(), 1);
    counts.change(JobId(1), JobState::running, JobState::quarantined);
    EXPECT_EQ(counts.unfinished(), 0);
    EXPECT_EQ(counts.failed(), 1);
    counts.change(JobId(1), JobState::quarantined, JobState::cancelled);
    EXPECT_EQ(counts.failed(), 0) << "a job that a user cancelled has not failed";
    EXPECT_EQ(counts.in(JobState::succeeded), 1);
}

}  // namespace
}  // namespace orchestrate
