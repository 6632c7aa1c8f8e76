// What becomes of a job, and of a worker, when the worker's end came from outside.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/dispatch/peers_fixture.h"

namespace orchestrate {
namespace {

using test::PeersWorld;
using ::testing::AllOf;
using ::testing::HasSubstr;

// A Slurm step that somebody cancels (scancel JOB.STEP) is no fault of the job that ran in it, but nor is it begun for ever.
class CancelledStepsTest : public testing::Test {
  protected:
    CancelledStepsTest() { world_.schedule(0, 1); }

    // The newest worker takes the job, and ends as `exit` says.
    AttemptId run_and_end(SiteWorkerExit exit) {
        exit.worker = world_.site_events.back();
        exit.worker = exit.worker.substr(6, exit.worker.find(' ', 6) - 6);  // "start local-1 1"
        const auto wire = world_.connect(exit.worker);
        EXPECT_NE(wire->last<Lease>(), nullptr) << exit.worker;
        const AttemptId attempt = wire->last<Lease>()->attempt;
        world_.site_exits = {exit};
        world_.dispatcher().worker_disconnected(exit.worker, wire);
        world_.dispatcher().tick();
        world_.dispatcher().commit();
        return attempt;
    }

    PeersWorld world_;
    const SiteWorkerExit cancelled_{"", 137, 0, "", "CANCELLED"};
    const SiteWorkerExit killed_{"", 137, 0, ""};
};

TEST_F(CancelledStepsTest, IsNoCrashAndEndsTheJobAtLast) {
    for (int time = 1; time < 5; ++time) {
        const AttemptId attempt = run_and_end(cancelled_);
        EXPECT_THAT(world_.end_of(attempt), AllOf(HasSubstr("preempted"), HasSubstr("CANCELLED")));
        EXPECT_NE(world_.state(attempt.job), "cancelled") << time;
    }
    const AttemptId last = run_and_end(cancelled_);
    EXPECT_THAT(world_.end_of(last), AllOf(HasSubstr("cancelled"), HasSubstr("cancelled 5 times")));
    EXPECT_EQ(world_.state(last.job), "cancelled");
    EXPECT_EQ(world_.text("SELECT failures FROM jobs WHERE id = " + to_string(last.job)), "0");
    // Asked for again, it is begun anew.
    world_.dispatcher().ask_again(last.job);
    world_.dispatcher().commit();
    EXPECT_THAT(world_.end_of(run_and_end(cancelled_)), HasSubstr("preempted"));
}

TEST_F(CancelledStepsTest, AKilledRankIsStillACrash) {
    const AttemptId attempt = run_and_end(killed_);
    EXPECT_THAT(world_.end_of(attempt), HasSubstr("worker_crashed"));
    EXPECT_EQ(world_.text("SELECT failures FROM jobs WHERE id = " + to_string(attempt.job)), "1");
}

// Its allocation was suspended: the kill comes to it when it is resumed, and would be taken for a crash of its next job.
TEST(LostWorkersTest, OneWhoseDeathWasNotConfirmedGetsNoMoreJobs) {
    using namespace std::chrono_literals;
    PeersWorld world;
    world.schedule(0, 1);
    const auto wire = world.connect("local-1");
    ASSERT_NE(wire->last<Lease>(), nullptr);
    const AttemptId attempt = wire->last<Lease>()->attempt;
    for (const auto time : {13s, 21s}) {  // silent, then killed in vain
        world.clock += time;
        world.dispatcher().tick();
        world.dispatcher().commit();
    }
    EXPECT_THAT(world.end_of(attempt), HasSubstr("node_lost"));
    EXPECT_TRUE(world.said("its end is not confirmed"));
    const auto again = std::make_shared<test::Wire>();
    EXPECT_FALSE(world.connect(again, PeersWorld::hello("local-1")));
    ASSERT_NE(again->last<Refused>(), nullptr);
    EXPECT_THAT(again->last<Refused>()->reason, HasSubstr("was killed, since it was silent"));
    EXPECT_EQ(again->last<Lease>(), nullptr);
}

}  // namespace
}  // namespace orchestrate
