// A running command: started and ended through a supervisor process (command_supervisor.h), its output in pipes.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "common/base/environment.h"

namespace orchestrate {

struct CommandStart {
    std::vector<std::string> arguments;  // the program is searched for in PATH
    std::filesystem::path directory;     // the working directory
    Environment environment;             // holds a process mark, see process_mark.h
    std::filesystem::path scratch;  // removed with `scratch_files` if this process is killed; empty: none
    std::vector<std::filesystem::path> scratch_files;  // two at most
};

struct CommandExit {
    int code = 0;
    int signal = 0;                      // above 0: killed by it
    std::int64_t peak_memory_bytes = 0;  // of the largest process of it that was waited for
};

// Not thread-safe.
class CommandProcess {
  public:
    // Throws UserError if the command cannot be run: no such program, no such directory; MachineTrouble if this host has
    // no room for it (processes, descriptors, memory).
    explicit CommandProcess(const CommandStart& start);
    ~CommandProcess();  // whatever it has started is killed
    CommandProcess(const CommandProcess&) = delete;
    CommandProcess& operator=(const CommandProcess&) = delete;

    // Waits until it writes, `other` can be read, or it has ended, but no longer than `limit`.
    void wait(int other, std::chrono::milliseconds limit) const;

    // What it has written since the last call, a megabyte at most.
    std::string read_output();
    std::string read_errors();

    // The end of the command itself, once. What it has left running is being killed then.
    std::optional<CommandExit> poll();

    // Waits until everything that it has started has ended, no longer than `limit`. False if something still runs, such
    // as a process that waits for a disk or belongs to another user.
    bool wait_for_all(std::chrono::milliseconds limit);

    void ask_to_end() const;  // SIGTERM to its process group
    void kill() const;        // SIGKILL to everything that it has started

  private:
    void start(const CommandStart& start, const std::string& program);
    void request(char request) const;

    std::string mark_;
    pid_t supervisor_ = -1;
    int control_ = -1;
    int report_ = -1;
    int output_ = -1;
    int errors_ = -1;
    bool all_ended_ = false;
};

// What can be read now, without waiting: all of it, or the first megabyte.
std::string read_available(int descriptor);

}  // namespace orchestrate
