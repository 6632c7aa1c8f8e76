// Which results of a worker are on disk, and when.
#include "worker/core/unacknowledged_results.h"

#include <cerrno>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/null_sink.h>

#include "tests/common/simulated_disk.h"

namespace orchestrate::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr const char* kFolder = "/logs/unacknowledged/f00d";

AttemptEnded result_of(JobId job, double seconds) {
    AttemptResult result;
    result.total_seconds = seconds;
    return {{job, 1}, Cause::succeeded, "", result, "identity"};
}

class UnacknowledgedResultsTest : public testing::Test {
  protected:
    UnacknowledgedResultsTest() { results_.open(kFolder); }

    void report(const AttemptEnded& ended) {
        results_.save_if_costly(ended);
        results_.add(ended);
    }

    std::vector<std::int64_t> jobs_on_disk() {
        std::vector<std::int64_t> jobs;
        for (const auto& ended : ResultSpool(disk_, kFolder).leftovers().results) {
            jobs.push_back(ended.attempt.job.value());
        }
        return jobs;
    }

    SimulatedDisk disk_;
    const Log log_ =
        std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::null_sink_mt>());
    UnacknowledgedResults results_{disk_, log_};
};

TEST_F(UnacknowledgedResultsTest, AResultThatTookLongIsOnDiskUntilItIsAcknowledged) {
    report(result_of(JobId(1), 3600));
    EXPECT_THAT(jobs_on_disk(), ElementsAre(1));
    results_.acknowledged({JobId(1), 1});
    EXPECT_THAT(jobs_on_disk(), IsEmpty());
    EXPECT_THAT(results_.own(), IsEmpty());
}

TEST_F(UnacknowledgedResultsTest, AShortOneThatIsAcknowledgedSoonNeverTouchesTheDisk) {
    const int calls = disk_.calls();
    report(result_of(JobId(1), 0.1));
    results_.save_old();
    results_.acknowledged({JobId(1), 1});
    report(result_of(JobId(2), 0.1));
    results_.save_old();
    results_.acknowledged({JobId(2), 1});
    EXPECT_EQ(disk_.calls(), calls);
}

TEST_F(UnacknowledgedResultsTest, AShortOneThatWaitsIsOnDiskAtTheSecondHeartbeat) {
    report(result_of(JobId(1), 0.1));
    results_.save_old();
    report(result_of(JobId(2), 0.1));
    results_.save_old();
    EXPECT_THAT(jobs_on_disk(), ElementsAre(1));
    results_.acknowledged({JobId(1), 1});
    EXPECT_THAT(jobs_on_disk(), IsEmpty());
    EXPECT_EQ(results_.own().size(), 1U);
}

TEST_F(UnacknowledgedResultsTest, WithoutAConnectionAllAreOnDisk) {
    report(result_of(JobId(1), 0.1));
    report(result_of(JobId(2), 3600));
    report({{JobId(3), 1}, Cause::diverged, "at step 7", {}});
    results_.save_all();
    EXPECT_THAT(jobs_on_disk(), testing::UnorderedElementsAre(1, 2));
    const int calls = disk_.calls();
    results_.save_all();
    EXPECT_EQ(disk_.calls(), calls);
}

TEST_F(UnacknowledgedResultsTest, TheNextWorkerTakesThemUp) {
    report(result_of(JobId(1), 0.1));
    results_.save_all();
    UnacknowledgedResults next(disk_, log_);
    next.open(kFolder);
    ASSERT_EQ(next.leftovers().size(), 1U);
    EXPECT_EQ(next.leftovers()[0].attempt, (AttemptId{JobId(1), 1}));
    next.acknowledged({JobId(1), 1});
    EXPECT_THAT(next.leftovers(), IsEmpty());
    EXPECT_THAT(jobs_on_disk(), IsEmpty());
}

TEST_F(UnacknowledgedResultsTest, AFullDiskCostsNothingButTheCopy) {
    disk_.fail_writes(ENOSPC);
    report(result_of(JobId(1), 3600));
    report(result_of(JobId(2), 0.1));
    results_.save_all();
    disk_.fail_writes(0);
    EXPECT_EQ(results_.own().size(), 2U);
    EXPECT_THAT(jobs_on_disk(), IsEmpty());
}

}  // namespace
}  // namespace orchestrate::test
