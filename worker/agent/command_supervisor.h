// The process between a worker and a command. It starts the command, adopts whatever the command's processes leave
// behind (in sessions of their own, after double forks), and kills all of it when the command has ended, when the worker
// asks for it, or when the worker is gone. Linux: PR_SET_CHILD_SUBREAPER.
#pragma once

#include <cstdint>

namespace orchestrate {

// Prepared before the fork; all of it must outlive the call. Descriptors are above 2 and close themselves on exec.
struct SupervisedCommand {
    const char* program;  // absolute, or relative to `directory`
    char* const* arguments;
    char* const* variables;
    const char* directory;
    int output;   // standard output of the command
    int errors;   // standard error
    int failure;  // a StartFailure is written there if the command cannot be started
    int control;  // one byte per request; its end of file: the worker is gone
    int report;   // one CommandReport; end of file: everything that was started has ended
    // Removed if the worker is gone: a directory and the files in it. Null pointers: none.
    const char* scratch_directory;
    const char* scratch_files[2];
};

enum class StartStep : int { fork, directory, setup, run };

struct StartFailure {
    StartStep step;
    int error_number;
};

struct CommandReport {
    int status;                      // as wait() returns it
    std::int64_t peak_memory_bytes;  // of the largest process of it that was waited for
};

inline constexpr char kAskToEnd = 'T';     // SIGTERM to the command's process group
inline constexpr char kKillCommand = 'K';  // SIGKILL to everything

// Called in a forked process of a program that may have other threads: makes async-signal-safe calls only.
[[noreturn]] void supervise(const SupervisedCommand& command);

}  // namespace orchestrate
