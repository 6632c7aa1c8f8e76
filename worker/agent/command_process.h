// A running command: a process group of its own, its output in pipes.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "common/environment.h"

namespace orchestrate {

struct CommandStart {
    std::vector<std::string> arguments;  // the program is looked for in PATH
    std::filesystem::path folder;        // it runs in
    Environment environment;
};

struct CommandExit {
    int code = 0;
    int signal = 0;                      // above 0: killed by it
    std::int64_t peak_memory_bytes = 0;  // of the largest process of it that was waited for
};

// Not thread-safe.
class CommandProcess {
  public:
    // Throws UserError if it cannot be run: no such program, no such folder.
    explicit CommandProcess(const CommandStart& start);
    ~CommandProcess();  // what is left of it is killed
    CommandProcess(const CommandProcess&) = delete;
    CommandProcess& operator=(const CommandProcess&) = delete;

    pid_t group() const { return process_; }

    // Waits until it writes, one of `other` can be read, or it has ended, but no longer than `limit`.
    void wait(int other, std::chrono::milliseconds limit) const;

    // What it has written since the last call.
    std::string read_output();
    std::string read_errors();

    // Its end, once. What it has started and left behind is killed then.
    std::optional<CommandExit> poll();

    void signal(int signal) const;

  private:
    pid_t process_ = -1;
    int descriptor_ = -1;  // can be read once it has ended; -1: the kernel has no such thing
    int output_ = -1;
    int errors_ = -1;
    bool ended_ = false;
};

// What can be read now, without waiting: all of it, or the first megabyte.
std::string read_available(int descriptor);

}  // namespace orchestrate
