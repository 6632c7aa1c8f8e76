// Starts a program as a child process in a process group of its own and follows it to its end without ever
// blocking or waiting for processes that somebody else started. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "common/base/environment.h"

namespace orchestrate {

struct ChildCommand {
    std::vector<std::string> arguments;  // arguments[0]: a path, or a name looked up in PATH
    Environment environment;             // all of it, nothing is inherited
    std::filesystem::path output_file;   // standard output is appended to it; empty: discarded
    std::filesystem::path error_file;    // and standard error to this one; empty: to output_file
    // A signal the kernel sends to the child when the thread that started it ends; 0: none. So a child that
    // shall die with the program is started by its main thread.
    int parent_death_signal = 0;
};

struct ExitStatus {
    int exit_code = 0;  // 0 if it was ended by a signal
    int signal = 0;     // 0 if it ended by itself
};

class ChildProcess {
  public:
    // Throws std::runtime_error, with what could not be done, if the program does not start.
    static ChildProcess start(const ChildCommand& command);

    pid_t pid() const { return pid_; }

    // How it ended, once; empty while it runs. What is left of its process group is killed then.
    std::optional<ExitStatus> poll();

    // Blocks until it has ended (true) or `limit` is over (false); poll() then tells how.
    bool wait_for(std::chrono::milliseconds limit) const;

    // Sends a signal to its process group. Only while it has not been reported as ended by poll().
    void signal_group(int signal) const;

    // Sends SIGKILL to it and to all processes descended from it, whatever group they are in.
    void kill_tree() const;

  private:
    explicit ChildProcess(pid_t pid) : pid_(pid) {}
    pid_t pid_;
};

// The processes that `pid` started and that still run, by /proc.
std::vector<pid_t> children_of(pid_t pid);

// A process that may be another one's child, told apart from a later one with the same number.
struct ProcessIdentity {
    pid_t pid = 0;
    std::uint64_t start_ticks = 0;  // after the start of the system, in the kernel's clock ticks
};

// Nothing if there is no such process.
std::optional<ProcessIdentity> identity_of(pid_t pid);

// Sends a signal if that very process still lives.
void signal_process(const ProcessIdentity& process, int signal);

// The kernel's short name of a process (15 characters at most); empty if it is gone.
std::string process_name(pid_t pid);

}  // namespace orchestrate
