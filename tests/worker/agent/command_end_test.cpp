// What the end of a command means for its attempt.
#include "worker/agent/command_end.h"

#include <csignal>

#include <gmock/gmock.h>

namespace orchestrate {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct EndCase {
    CommandEnd end;
    Cause cause;
    const char* message;
};

class EndOfCommand : public ::testing::TestWithParam<EndCase> {};

TEST_P(EndOfCommand, HasItsCause) {
    const CommandVerdict verdict = judge_end(GetParam().end);
    EXPECT_EQ(verdict.cause, GetParam().cause);
    EXPECT_EQ(verdict.message, GetParam().message);
}

TEST(OfItsOwnAccord, ACommandAsksToBeStartedAgainUnlessItWasAskedToEnd) {
    const CommandExit exit{kExitPreempted, 0, 0};
    EXPECT_TRUE(judge_end({.exit = exit, .has_new_checkpoint = true}).asks_again);
    EXPECT_FALSE(judge_end({.exit = exit, .was_asked = true, .has_new_checkpoint = true}).asks_again);
    EXPECT_FALSE(judge_end({.exit = exit}).asks_again);
}

CommandExit code(int number) {
    return {number, 0, 0};
}
CommandExit signal(int number) {
    return {0, number, 0};
}

INSTANTIATE_TEST_SUITE_P(
    CommandEnd, EndOfCommand,
    ::testing::Values(
        EndCase{{.exit = code(0)}, Cause::succeeded, ""},
        EndCase{{.exit = code(3)}, Cause::user_error, "the command ended with exit code 3"},
        EndCase{{.exit = code(3), .last_words = "boom"},
                Cause::user_error,
                "the command ended with exit code 3: boom"},
        EndCase{
            {.exit = code(3), .last_words = "Traceback:\n  x = y\nNameError: y"},
            Cause::user_error,
            "the command ended with exit code 3: NameError: y\nits last lines:\n  Traceback:\n    x = y\n  "
            "NameError: y"},
        EndCase{{.exit = code(75), .has_new_checkpoint = true},
                Cause::preempted,
                "the command asked to be started again (exit code 75)"},
        EndCase{
            {.exit = code(75)},
            Cause::worker_crashed,
            "the command asked to be started again (exit code 75), but has written no new finished file to "
            "ORCHESTRATE_CHECKPOINTS"},
        EndCase{{.exit = code(75), .was_asked = true}, Cause::preempted, ""},
        EndCase{{.exit = code(1), .was_asked = true},
                Cause::preempted,
                "the command ended with exit code 1 when asked to end"},
        EndCase{{.exit = signal(SIGKILL),
                 .was_asked = true,
                 .was_killed = true,
                 .stop_grace = std::chrono::seconds(8)},
                Cause::preempted,
                "the command was killed, since it had not ended 8.0 s after it was asked to"},
        EndCase{
            {.exit = signal(SIGKILL)},
            Cause::worker_crashed,
            "the command was killed (signal 9), not by orchestrate; the kernel reports no lack of memory"},
        EndCase{{.exit = signal(SIGKILL), .kernel_killed_for_memory = true},
                Cause::worker_crashed,
                "the command was killed (signal 9) while the kernel ended processes for lack of memory"},
        EndCase{{.exit = code(1), .full_places = "/tmp is full"},
                Cause::user_error,
                "the command ended with exit code 1"},
        EndCase{{.exit = code(1), .last_words = "OSError: [Errno 28] No space left on device"},
                Cause::user_error,
                "the command ended with exit code 1: OSError: [Errno 28] No space left on device"},
        EndCase{
            {.exit = code(1), .full_places = "/tmp is full", .last_words = "write: No space left on device"},
            Cause::node_lost,
            "the command ended with exit code 1 while this host had no room left (/tmp is full); this is not "
            "counted against the job: write: No space left on device"}));

TEST(LastWords, AreShortened) {
    const std::string message =
        with_last_words("it failed", std::string(5000, 'x') + "\n" + std::string(900, 'y'));
    EXPECT_LT(message.size(), 2500U);
    EXPECT_THAT(message.substr(0, message.find('\n')), HasSubstr("it failed: yyy"));
    // No character is cut in two.
    std::string signs;
    for (int i = 0; i < 2000; ++i) {
        signs += "\xc3\xa9";
    }
    EXPECT_THAT(with_last_words("it failed", "a" + signs), Not(HasSubstr(": \xa9")));
}

}  // namespace
}  // namespace orchestrate
