#include "coordinator/worker_health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/job_counts.h"
#include "coordinator/short_jobs.h"

namespace orchestrate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::int64_t kStudy = 1;

TEST(WorkerHealthTest, WhoFailsWhatOthersDoIsFound) {
    WorkerHealth health;
    EXPECT_THAT(health.ended("bad", 1, kStudy, Cause::user_error), IsEmpty());
    EXPECT_THAT(health.ended("good", 2, kStudy, Cause::succeeded), IsEmpty());
    EXPECT_THAT(health.ended("bad", 3, kStudy, Cause::worker_crashed), IsEmpty());
    EXPECT_THAT(health.ended("bad", 4, kStudy, Cause::user_error), ElementsAre(1, 3, 4));
}

TEST(WorkerHealthTest, NothingIsHeldAgainstAWorkerWhenNobodySucceeds) {
    WorkerHealth health;
    for (int job = 1; job <= 20; ++job) {
        EXPECT_THAT(health.ended("alone", job, kStudy, Cause::user_error), IsEmpty());
        EXPECT_THAT(health.ended("other", 100 + job, kStudy + 1, Cause::succeeded), IsEmpty());
    }
}

TEST(WorkerHealthTest, ASuccessEndsTheRowAndOneJobIsNotThree) {
    WorkerHealth health;
    for (int round = 0; round < 5; ++round) {
        EXPECT_THAT(health.ended("a", 1, kStudy, Cause::worker_crashed), IsEmpty());
        EXPECT_THAT(health.ended("b", 9, kStudy, Cause::succeeded), IsEmpty());
    }
    EXPECT_THAT(health.ended("a", 2, kStudy, Cause::user_error), IsEmpty());
    EXPECT_THAT(health.ended("a", 3, kStudy, Cause::succeeded), IsEmpty());
    EXPECT_THAT(health.ended("a", 4, kStudy, Cause::user_error), IsEmpty());
}

TEST(WorkerHealthTest, JobsThatFailElsewhereTooAreToBlameThemselves) {
    WorkerHealth health;
    health.ended("a", 1, kStudy, Cause::user_error);
    health.ended("c", 9, kStudy, Cause::succeeded);
    health.ended("a", 2, kStudy, Cause::user_error);
    ASSERT_THAT(health.ended("a", 3, kStudy, Cause::user_error), ElementsAre(1, 2, 3));
    for (const std::int64_t job : {1, 2, 3}) {
        EXPECT_THAT(health.ended("b", job, kStudy, Cause::user_error), IsEmpty());
        EXPECT_THAT(health.ended("c", 9 + job, kStudy, Cause::succeeded), IsEmpty());
    }
}

TEST(WorkerHealthTest, InterruptionsAndTheJobsOwnFaultsDoNotCount) {
    WorkerHealth health;
    int job = 0;
    for (const Cause cause : {Cause::preempted, Cause::walltime, Cause::node_lost, Cause::diverged,
                              Cause::out_of_memory, Cause::cancelled}) {
        for (int i = 0; i < 4; ++i) {
            EXPECT_THAT(health.ended("a", ++job, kStudy, cause), IsEmpty());
            EXPECT_THAT(health.ended("b", 1000, kStudy, Cause::succeeded), IsEmpty());
        }
    }
}

TEST(ShortJobsTest, HoldsAheadWhatIsShortAndNothingElse) {
    ShortJobs jobs;
    EXPECT_EQ(jobs.ahead(1), 0);
    for (int i = 0; i < 100; ++i) {
        jobs.took(1, std::chrono::milliseconds(50));
        jobs.took(2, std::chrono::milliseconds(1));
        jobs.took(4, std::chrono::seconds(30));
    }
    EXPECT_NEAR(jobs.ahead(1), 4, 1);
    EXPECT_EQ(jobs.ahead(2), ShortJobs::kMost);
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
    counts.add(1, JobState::waiting);
    counts.add(2, JobState::succeeded);
    counts.add(2, JobState::waiting);    // known
    counts.update(3, JobState::failed);  // unknown
    EXPECT_EQ(counts.all(), 2);
    EXPECT_EQ(counts.unfinished(), 1);
    counts.update(1, JobState::running);
    EXPECT_EQ(counts.unfinished(), 1);
    counts.update(1, JobState::quarantined);
    EXPECT_EQ(counts.unfinished(), 0);
    EXPECT_EQ(counts.without_result(), 1);
    EXPECT_EQ(counts.in(JobState::succeeded), 1);
}

}  // namespace
}  // namespace orchestrate
