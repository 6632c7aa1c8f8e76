// What a worker sends is that worker's affair: it ends its own attempt in words, and touches nothing else.
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/dispatch/peers_fixture.h"

namespace orchestrate {
namespace {

using test::PeersWorld;
using test::Wire;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr int kTrainings = 4;  // jobs 1 to 4; the commands are 5 to 8

AttemptEnded command_result(const AttemptId& attempt) {
    AttemptEnded ended{attempt, Cause::succeeded, "", AttemptResult{}};
    ended.result->of_command = true;
    ended.result->device_class = "cpu";
    ended.result->metrics = {{MetricPart::test, "v", 6}};
    return ended;
}

// As the spool reads it.
AttemptEnded from_the_disk(const AttemptEnded& ended) {
    const auto frame = encode_frame(SpooledMessage(ended));
    try {
        return std::get<AttemptEnded>(decode_body<SpooledMessage>(std::span(frame).subspan(4)));
    } catch (const InvalidMessage& error) {
        return end_by_refusal(error);
    }
}

struct BadEnd {
    const char* words;
    void (*spoil)(AttemptEnded&);
};

class HostileWorkersTest : public testing::Test {
  protected:
    // A worker with the first of the jobs that wait.
    std::shared_ptr<Wire> with_lease(const std::string& name) {
        auto wire = world_.connect(name);
        const auto* lease = wire->last<Lease>();
        EXPECT_NE(lease, nullptr) << name;
        return wire;
    }
    static AttemptId leased(const std::shared_ptr<Wire>& wire) { return wire->last<Lease>()->attempt; }

    PeersWorld world_{kTrainings};
};

TEST_F(HostileWorkersTest, AResultThatIsRefusedEndsItsOwnAttemptInWords) {
    const BadEnd cases[] = {
        {"total_seconds is nan", [](AttemptEnded& ended) { ended.result->total_seconds = kNan; }},
        {"does not hold 'test v'", [](AttemptEnded& ended) { ended.result->metrics.clear(); }},
        {"does not hold 'test v'",
         [](AttemptEnded& ended) { ended.result->metrics[0].part = MetricPart::validation; }},
        {"is of a training, the job is a command",
         [](AttemptEnded& ended) {
             ended.result->of_command = false;
             ended.result->metrics.clear();
         }},
        {"'v' is none of a training", [](AttemptEnded& ended) { ended.result->of_command = false; }},
        {"ranks is 3", [](AttemptEnded& ended) { ended.result->ranks = 3; }},
        {"epoch is -5",
         [](AttemptEnded& ended) {
             ended.epochs.resize(1);
             ended.epochs[0].epoch = -5;
         }},
        {"model.folder",
         [](AttemptEnded& ended) {
             ended.result->model = SavedModel{"/nowhere/at/all", std::string(64, 'f'), 5};
         }},
        {"'cancelled'", [](AttemptEnded& ended) { ended.cause = Cause::cancelled; }},
    };
    int number = 0;
    for (const auto& [words, spoil] : cases) {
        PeersWorld world(1);
        world.schedule(1, 2);  // a command
        const std::string name = "odd-" + std::to_string(++number);
        auto wire = world.connect(name);
        ASSERT_NE(wire->last<Lease>(), nullptr);
        const AttemptId attempt = wire->last<Lease>()->attempt;
        AttemptEnded ended = command_result(attempt);
        spoil(ended);
        world.say(name, wire, ended);
        EXPECT_THAT(world.end_of(attempt), AllOf(HasSubstr("worker_crashed: "), HasSubstr(words))) << words;
        EXPECT_EQ(world.text("SELECT count(*) FROM results"), "0") << words;
        ASSERT_NE(wire->last<Acknowledged>(), nullptr);
        EXPECT_EQ(wire->last<Acknowledged>()->attempt, attempt);
        // The same once more is stale: the job has another attempt, which it does not touch.
        ASSERT_NE(wire->last<Lease>()->attempt, attempt);
        world.say(name, wire, ended);
        EXPECT_TRUE(wire->last<Acknowledged>()->stale);
        EXPECT_EQ(world.end_of(wire->last<Lease>()->attempt), "open: ");
        // A good one is taken.
        world.say(name, wire, command_result(wire->last<Lease>()->attempt));
        EXPECT_EQ(world.state(attempt.job), "succeeded") << words;
    }
}

TEST_F(HostileWorkersTest, AnEpochThatIsRefusedEndsTheAttemptAndStopsIt) {
    world_.schedule(0, 1);
    const auto wire = with_lease("odd-1");
    AttemptEpoch epoch{leased(wire), {}};
    epoch.metrics.epoch = 1;
    world_.say("odd-1", wire, epoch);
    EXPECT_EQ(world_.end_of(epoch.attempt), "open: ");
    epoch.metrics.epoch = 4;  // of three
    world_.say("odd-1", wire, epoch);
    EXPECT_THAT(world_.end_of(epoch.attempt), HasSubstr("the job has 3 epochs"));
    ASSERT_NE(wire->last<StopAttempt>(), nullptr);
    EXPECT_EQ(wire->last<StopAttempt>()->attempt, epoch.attempt);
}

TEST_F(HostileWorkersTest, OnlyTheWorkerThatHoldsAnAttemptSpeaksForIt) {
    world_.schedule(4, 6);  // two commands
    const auto first = with_lease("first-1");
    const auto odd = with_lease("odd-1");
    const AttemptId others = leased(first);
    AttemptEnded ended = command_result(others);
    world_.say("odd-1", odd, ended);
    EXPECT_EQ(world_.end_of(others), "open: ");
    EXPECT_TRUE(world_.said("was given to worker first-1"));
    EpochMetrics metrics;
    metrics.epoch = 1;
    metrics.of_command = true;
    metrics.metrics = {{MetricPart::test, "v", 1}};
    world_.say("odd-1", odd, AttemptEpoch{others, metrics});
    EXPECT_EQ(world_.text("SELECT count(*) FROM epoch_metrics"), "0");
    EXPECT_EQ(world_.end_of(leased(odd)), "open: ");  // its own is no worse for it
    world_.say("first-1", first, ended);
    EXPECT_EQ(world_.state(others.job), "succeeded");
}

TEST_F(HostileWorkersTest, AWorkerThatSendsSuchMessagesAgainAndAgainIsCutOffAndNamed) {
    world_.schedule(4, 8);
    const auto odd = with_lease("odd-1");
    for (int i = 0; i < 3; ++i) {
        EXPECT_FALSE(odd->closed);
        AttemptEnded ended = command_result(leased(odd));
        ended.result->total_seconds = -1;
        world_.say("odd-1", odd, ended);
    }
    EXPECT_TRUE(odd->closed);
    EXPECT_TRUE(world_.said("worker odd-1 is cut off and gets no more jobs: 3 of its messages were refused"));
    EXPECT_THAT(world_.dispatcher().workers(), IsEmpty());
    const auto again = std::make_shared<Wire>();
    EXPECT_FALSE(world_.connect(again, PeersWorld::hello("odd-1")));
    EXPECT_THAT(again->last<Refused>()->reason, HasSubstr("was cut off"));
    // What it had is done by another one.
    const auto good = with_lease("good-1");
    world_.say("good-1", good, command_result(leased(good)));
    EXPECT_EQ(world_.text("SELECT count(*) FROM results"), "1");
}

TEST_F(HostileWorkersTest, WhatAWorkerSaysOfUnknownAttemptsIsNotRemembered) {
    const auto odd = world_.connect("odd-1");
    const std::size_t known = world_.store().jobs().size();
    for (std::int64_t job = 1; job <= 1000; ++job) {
        world_.say("odd-1", odd, AttemptEnded{{JobId(1'000'000 + job), 1}, Cause::preempted, "", {}});
        world_.say("odd-1", odd, AttemptResumed{{JobId(1'000'000 + job), 1}, {}});
    }
    EXPECT_EQ(world_.store().jobs().size(), known);
    EXPECT_TRUE(odd->last<Acknowledged>()->stale);
}

TEST_F(HostileWorkersTest, NotesAreWordsAndNotMany) {
    const auto odd = world_.connect("odd-1");
    const std::size_t before = world_.notes.size();
    for (int i = 0; i < 1000; ++i) {
        world_.say("odd-1", odd, WorkerNote{"\x1b[2Jfirst\nsecond " + std::string(100'000, 'x')});
    }
    ASSERT_GT(world_.notes.size(), before);
    EXPECT_LE(world_.notes.size(), before + 20);
    EXPECT_LE(world_.notes.back().size(), 2000U);
    EXPECT_THAT(world_.notes.back(), AllOf(Not(HasSubstr("\n")), Not(HasSubstr("\x1b"))));
}

TEST_F(HostileWorkersTest, TheWordsOfAnAttemptAreCutAndCleaned) {
    world_.schedule(4, 5);
    const auto odd = with_lease("odd-1");
    const AttemptId attempt = leased(odd);
    world_.say("odd-1", odd,
               AttemptEnded{attempt, Cause::user_error, "bad\xff\x1b[31m" + std::string(1'000'000, 'x'), {}});
    EXPECT_LE(world_.end_of(attempt).size(), 17'000U);
    EXPECT_THAT(world_.end_of(attempt), AllOf(HasSubstr("bad\xEF\xBF\xBD [31m"), Not(HasSubstr("\x1b"))));
}

struct BadHello {
    const char* words;
    void (*spoil)(Hello&);
};

TEST_F(HostileWorkersTest, AWorkerIsWhatItWasStartedAs) {
    world_.schedule(0, 2);
    ASSERT_THAT(world_.site_events, Contains("start local-1 1"));
    const BadHello cases[] = {
        {"no worker local-9 was started", [](Hello& hello) { hello.name = "local-9"; }},
        {"no worker local-x was started", [](Hello& hello) { hello.name = "local-x"; }},
        {"was started with 1 rank(s), this one says 2", [](Hello& hello) { hello.ranks = 2; }},
    };
    for (const auto& [words, spoil] : cases) {
        Hello hello = PeersWorld::hello("local-1");
        spoil(hello);
        const auto wire = std::make_shared<Wire>();
        EXPECT_FALSE(world_.connect(wire, hello)) << words;
        ASSERT_NE(wire->last<Refused>(), nullptr) << words;
        EXPECT_THAT(wire->last<Refused>()->reason, HasSubstr(words));
        EXPECT_EQ(wire->last<Lease>(), nullptr);
    }
    EXPECT_THAT(world_.dispatcher().workers(), IsEmpty());
    EXPECT_NE(with_lease("local-1")->last<Lease>(), nullptr);
}

TEST_F(HostileWorkersTest, ANameIsTakenWhileItsWorkerIsConnected) {
    world_.schedule(4, 5);
    const auto first = with_lease("by-hand-1");
    const auto second = std::make_shared<Wire>();
    EXPECT_FALSE(world_.connect(second, PeersWorld::hello("by-hand-1", 2)));
    EXPECT_THAT(second->last<Refused>()->reason, HasSubstr("is connected already: process 1 on host"));
    EXPECT_FALSE(first->closed);
    // Another process has nothing of what that one was given, whatever it says, and the same one has.
    const AttemptId attempt = leased(first);
    world_.dispatcher().worker_disconnected("by-hand-1", first);
    Hello same = PeersWorld::hello("by-hand-1");
    same.held = {attempt};
    const auto back = std::make_shared<Wire>();
    ASSERT_TRUE(world_.connect(back, same));
    EXPECT_THAT(back->last<Welcome>()->current, Contains(attempt));
    world_.dispatcher().worker_disconnected("by-hand-1", back);
    Hello other = PeersWorld::hello("by-hand-1", 3);
    other.held = {attempt};
    const auto third = std::make_shared<Wire>();
    ASSERT_TRUE(world_.connect(third, other));
    EXPECT_THAT(third->last<Welcome>()->current, IsEmpty());
    EXPECT_THAT(world_.end_of(attempt), HasSubstr("node_lost"));
}

TEST_F(HostileWorkersTest, AWorkerClaimsNoAttemptOfAnother) {
    world_.schedule(4, 5);
    const auto first = with_lease("first-1");
    world_.dispatcher().worker_disconnected("first-1", first);
    Hello odd = PeersWorld::hello("odd-1");
    odd.held = {leased(first)};
    const auto wire = std::make_shared<Wire>();
    ASSERT_TRUE(world_.connect(wire, odd));
    EXPECT_THAT(wire->last<Welcome>()->current, IsEmpty());
    EXPECT_EQ(world_.end_of(leased(first)), "open: ");
}

TEST_F(HostileWorkersTest, AResultLeftOnDiskIsTakenForItsJobOnly) {
    world_.schedule(4, 5);
    const auto first = with_lease("first-1");
    const auto heir = world_.connect("heir-1");
    AttemptEnded ended = command_result(leased(first));
    ended.job_identity = world_.identity(ended.attempt.job);
    world_.say("heir-1", heir, ended);  // its worker is there, and delivers it itself
    EXPECT_EQ(world_.end_of(ended.attempt), "open: ");
    EXPECT_EQ(heir->last<Acknowledged>(), nullptr);
    world_.dispatcher().worker_disconnected("first-1", first);
    AttemptEnded other = ended;
    other.job_identity = std::string(64, '0');
    world_.say("heir-1", heir, other);
    EXPECT_TRUE(heir->last<Acknowledged>()->stale);
    EXPECT_EQ(world_.end_of(ended.attempt), "open: ");
    world_.say("heir-1", heir, ended);
    EXPECT_FALSE(heir->last<Acknowledged>()->stale);
    EXPECT_EQ(world_.state(ended.attempt.job), "succeeded");
}

TEST_F(HostileWorkersTest, ABadResultLeftOnDiskEndsItsAttemptOnce) {
    world_.schedule(4, 5);
    const auto first = with_lease("first-1");
    AttemptEnded ended = command_result(leased(first));
    ended.job_identity = world_.identity(ended.attempt.job);
    ended.result->total_seconds = kNan;
    EXPECT_TRUE(world_.dispatcher().accept_leftover(from_the_disk(ended)));
    EXPECT_TRUE(world_.dispatcher().commit());
    EXPECT_THAT(world_.end_of(ended.attempt),
                AllOf(HasSubstr("worker_crashed: "), HasSubstr("left on disk was refused"),
                      HasSubstr("total_seconds is nan")));
    EXPECT_FALSE(world_.dispatcher().accept_leftover(from_the_disk(ended)));
    ended.job_identity.clear();
    EXPECT_FALSE(world_.dispatcher().accept_leftover(from_the_disk(ended)));
}

TEST_F(HostileWorkersTest, FilesAreTransferredForOnesOwnAttemptOnly) {
    world_.schedule(0, 1);
    const auto first = with_lease("first-1");
    const auto odd = world_.connect("odd-1");
    UploadOffer offer;
    offer.upload = {leased(first), UploadKind::checkpoint, "step-1.safetensors"};
    EXPECT_TRUE(world_.say("first-1", first, offer));
    EXPECT_FALSE(world_.say("odd-1", odd, offer));
    EXPECT_TRUE(world_.said("was given to worker first-1"));
    UploadChunk chunk;
    chunk.upload = offer.upload;
    chunk.offset = -1;
    EXPECT_FALSE(world_.say("first-1", first, chunk));
    EXPECT_THAT(world_.end_of(chunk.upload.attempt), HasSubstr("offset is -1"));
}

// Should a check be missing, the tables still refuse the row: then that change is left out, and only that one.
TEST_F(HostileWorkersTest, AChangeThatTheTablesRefuseKeepsNoOtherFromTheDisk) {
    world_.schedule(4, 6);
    const auto first = with_lease("first-1");
    const auto second = with_lease("second-1");
    const AttemptId poisoned = leased(first);
    world_.database().exec("CREATE TRIGGER poison BEFORE INSERT ON results WHEN NEW.job_id = " +
                           to_string(poisoned.job) + " BEGIN SELECT RAISE(ABORT, 'poison'); END");
    world_.dispatcher().worker_said("first-1", first, command_result(poisoned));
    world_.dispatcher().worker_said("second-1", second, command_result(leased(second)));
    EXPECT_TRUE(world_.dispatcher().commit());
    EXPECT_EQ(world_.state(poisoned.job), "failed");
    EXPECT_THAT(world_.end_of(poisoned), HasSubstr("could not be stored"));
    EXPECT_EQ(world_.state(leased(second).job), "succeeded");
    EXPECT_EQ(world_.store().jobs().at(poisoned.job).state, JobState::failed);
    EXPECT_TRUE(world_.said("its result could not be stored"));
    EXPECT_EQ(world_.store().pending_changes(), 0U);
    // A user asks for it again.
    world_.database().exec("DROP TRIGGER poison");
    EXPECT_TRUE(world_.dispatcher().ask_again(poisoned.job));
    world_.dispatcher().commit();
    EXPECT_EQ(world_.state(poisoned.job), "running");
}

TEST_F(HostileWorkersTest, ADamagedDatabaseIsNoWorkersFault) {
    world_.schedule(4, 5);
    const auto first = with_lease("first-1");
    world_.dispatcher().worker_said("first-1", first, command_result(leased(first)));
    world_.database().exec("DROP TABLE job_metrics");
    EXPECT_THROW(world_.dispatcher().commit(), SQLite::Exception);
}

}  // namespace
}  // namespace orchestrate
