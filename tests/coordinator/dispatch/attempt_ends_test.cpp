// What is recorded of an attempt that ends: how long it ran, and why it ended.
#include <chrono>
#include <csignal>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/dispatch/peers_fixture.h"

namespace orchestrate {
namespace {

using namespace std::chrono_literals;
using test::PeersWorld;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

class AttemptEndsTest : public testing::Test {
  protected:
    AttemptEndsTest() { world_.schedule(1, 2); }  // a command

    std::string seconds_of(const AttemptId& attempt) {
        return world_.text("SELECT coalesce(seconds, 'unknown') FROM attempts WHERE job_id = " +
                           to_string(attempt.job) + " AND number = " + std::to_string(attempt.number));
    }

    PeersWorld world_{1};
};

TEST_F(AttemptEndsTest, TheWorkerMeasuresHowLongItRan) {
    const auto wire = world_.connect("one-1");
    const AttemptId attempt = wire->last<Lease>()->attempt;
    world_.clock += 20s;
    world_.say("one-1", wire, AttemptEnded{attempt, Cause::user_error, "", {}, "", {}, 12.5});
    EXPECT_EQ(seconds_of(attempt), "12.5");
}

TEST_F(AttemptEndsTest, OfALostWorkerTheCoordinatorMeasuresIt) {
    const auto wire = world_.connect("one-1");
    const AttemptId attempt = wire->last<Lease>()->attempt;
    world_.clock += 300s;
    world_.dispatcher().tick();
    world_.dispatcher().commit();
    EXPECT_THAT(world_.end_of(attempt), HasSubstr("node_lost: "));
    EXPECT_EQ(seconds_of(attempt), "300.0");
}

TEST_F(AttemptEndsTest, WhatAStandingWorkerSaysWhenItIsKilledDoesNotCount) {
    ASSERT_THAT(world_.site_events, Contains("start local-1 1"));
    world_.dispatcher().set_progress_limit(10s);
    const auto wire = world_.connect("local-1");
    const AttemptId attempt = wire->last<Lease>()->attempt;
    for (int second = 0; second < 12; ++second) {
        world_.clock += 1s;
        world_.say("local-1", wire, Heartbeat{});
        world_.dispatcher().tick();
    }
    ASSERT_THAT(world_.site_events, Contains("stop local-1"));
    world_.say("local-1", wire, Goodbye{"signal 15"});
    world_.site_exits.push_back({"local-1", 0, SIGKILL, ""});
    world_.dispatcher().worker_disconnected("local-1", wire);
    world_.dispatcher().tick();
    world_.dispatcher().commit();
    EXPECT_THAT(world_.end_of(attempt),
                AllOf(HasSubstr("worker_crashed: "), HasSubstr("made no progress for 10 s")));
}

}  // namespace
}  // namespace orchestrate
