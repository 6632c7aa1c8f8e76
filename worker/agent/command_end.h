// Why a command ended the way it did: what its exit means for its attempt. Pure.
#pragma once

#include <chrono>
#include <string>

#include "common/job/attempt.h"
#include "worker/agent/command_process.h"

namespace orchestrate {

// The command's exit code for "stopped with a checkpoint, start me again" (EX_TEMPFAIL of sysexits.h).
inline constexpr int kExitPreempted = 75;

struct CommandEnd {
    CommandExit exit;
    bool was_asked = false;                  // to end, by SIGTERM
    bool was_killed = false;                 // by this worker, since it did not end when asked
    std::chrono::milliseconds stop_grace{};  // between the two
    bool has_new_checkpoint = false;
    bool kernel_killed_for_memory = false;  // some process of this host while the command ran
    std::string full_places = {};           // file systems without room now, in words; empty: none
    std::string last_words =
        {};  // lines of its stderr, or of its stdout if that is empty; separated by newlines
};

struct CommandVerdict {
    Cause cause = Cause::succeeded;
    std::string message;      // the first line says all by itself
    bool asks_again = false;  // of its own accord
};

// Of exit code 0: succeeded, for the metrics to be judged.
CommandVerdict judge_end(const CommandEnd& end);

// "" or ": the last line", and the lines before it below.
std::string with_last_words(const std::string& message, const std::string& last_words);

}  // namespace orchestrate
