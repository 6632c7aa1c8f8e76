// Commands that ask again and again to be started are started ever less often; nothing else waits for them.
#include "coordinator/dispatch/restart_pauses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/dispatch/peers_fixture.h"

namespace orchestrate {
namespace {

using namespace std::chrono_literals;
using test::PeersWorld;
using test::Wire;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(RestartPausesTest, PausesGrowAndALongAttemptResetsThem) {
    RestartPauses pauses;
    RestartPauses::Time now{};
    std::vector<std::int64_t> lengths;
    for (int i = 0; i < 9; ++i) {
        pauses.asked_again(JobId(1), 0.01s, now);
        EXPECT_TRUE(pauses.rests(JobId(1)));
        const auto pause = pauses.left(JobId(1), now).value();
        lengths.push_back(pause.count());
        EXPECT_THAT(pauses.take_over(now + pause - 1ms), IsEmpty());
        now += pause;
        EXPECT_THAT(pauses.take_over(now), ElementsAre(JobId(1)));
        EXPECT_THAT(pauses.take_over(now), IsEmpty());
        EXPECT_FALSE(pauses.rests(JobId(1)));
    }
    EXPECT_THAT(lengths, ElementsAre(1, 2, 4, 8, 16, 32, 60, 60, 60));
    pauses.asked_again(JobId(1), 30s, now);
    EXPECT_FALSE(pauses.rests(JobId(1)));
    pauses.asked_again(JobId(1), 1s, now);
    EXPECT_EQ(pauses.left(JobId(1), now), 1s);
    pauses.forget(JobId(1));
    EXPECT_THAT(pauses.take_over(now + 1h), IsEmpty());
}

class RestartingCommand : public testing::Test {
  protected:
    static constexpr int kTrainings = 4;  // jobs 1 to 4; the commands are 5 to 8

    void begin(std::size_t commands) {
        world_.schedule(kTrainings, kTrainings + commands);
        wire_ = world_.connect("own-1");
    }
    AttemptId leased() const { return wire_->last<Lease>()->attempt; }
    std::int64_t leases() const {
        return std::count_if(wire_->messages.begin(), wire_->messages.end(),
                             [](const auto& message) { return std::holds_alternative<Lease>(message); });
    }
    void end(bool asks_again, double seconds = 0.01) {
        AttemptEnded ended{leased(), Cause::preempted, "", {}};
        ended.asks_again = asks_again;
        ended.seconds = seconds;
        world_.say("own-1", wire_, ended);
    }
    void pass(std::chrono::milliseconds time) {
        world_.clock += time;
        world_.say("own-1", wire_, Heartbeat{});
        world_.dispatcher().tick();
        world_.dispatcher().commit();
    }

    PeersWorld world_{kTrainings};
    std::shared_ptr<Wire> wire_;
};

TEST_F(RestartingCommand, WaitsBeforeItIsStartedAgainAndSaysSo) {
    begin(1);
    ASSERT_EQ(leases(), 1);
    end(true);
    EXPECT_EQ(leases(), 1);
    EXPECT_TRUE(world_.said("preempted; it is tried again in 1.0 s") ||
                world_.said("it is tried again in 1 s"));
    EXPECT_THAT(world_.dispatcher().why_waiting(JobId(5)), HasSubstr("asked to be started again"));
    pass(999ms);
    EXPECT_EQ(leases(), 1);
    pass(1ms);
    ASSERT_EQ(leases(), 2);
    end(true);
    pass(1999ms);
    EXPECT_EQ(leases(), 2);
    pass(1ms);
    ASSERT_EQ(leases(), 3);
    end(true, 3600);  // it ran for an hour
    EXPECT_EQ(leases(), 4);
}

TEST_F(RestartingCommand, KeepsNoOtherJobWaiting) {
    begin(2);
    end(true);
    EXPECT_EQ(leases(), 2);
    EXPECT_EQ(leased().job, JobId(6));
}

TEST_F(RestartingCommand, WhoWasInterruptedByOthersGoesOnAtOnce) {
    begin(1);
    end(false);
    EXPECT_EQ(leases(), 2);
}

TEST_F(RestartingCommand, WhatIsCancelledMeanwhileStaysCancelled) {
    begin(1);
    end(true);
    EXPECT_TRUE(world_.dispatcher().cancel(JobId(5)));
    pass(2s);
    EXPECT_EQ(leases(), 1);
    EXPECT_TRUE(world_.dispatcher().ask_again(JobId(5)));
    world_.dispatcher().commit();
    EXPECT_EQ(leases(), 2);
}

}  // namespace
}  // namespace orchestrate
