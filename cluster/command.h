// Runs short commands and returns what they wrote: how this module speaks with sbatch, squeue, scontrol and scancel.
// Whoever needs one takes a CommandRunner or a CommandStarter, so that tests can answer in Slurm's place.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace orchestrate {

struct CommandResult {
    bool found = true;       // false: there is no such program, and nothing else here counts
    bool timed_out = false;  // it was killed because its time was over
    int exit_code = 0;       // 128 + signal if it was ended by one; 126 if it could not be started
    std::string output;      // of each stream at most kMaxCommandOutput bytes, the rest is discarded
    std::string errors;
};

constexpr std::size_t kMaxCommandOutput = std::size_t{1} << 20;

// A command that is under way. Destroying it kills what still runs.
class PendingCommand {
  public:
    virtual ~PendingCommand() = default;

    // How it ended; empty while it runs. Never blocks. Not called again after it has answered.
    virtual std::optional<CommandResult> poll() = 0;
};

using CommandRunner = std::function<CommandResult(const std::vector<std::string>& arguments)>;
using CommandStarter =
    std::function<std::unique_ptr<PendingCommand>(const std::vector<std::string>& arguments)>;

// How long a command may take unless its caller says otherwise.
constexpr std::chrono::seconds kCommandTimeout{10};

// Starts a program found in PATH, without a shell and with an empty standard input, and returns at once; the caller
// polls it. It is killed after `timeout`. What cannot be started is a result too, not an exception.
std::unique_ptr<PendingCommand> start_command(const std::vector<std::string>& arguments,
                                              std::chrono::milliseconds timeout = kCommandTimeout);

// The same, waiting for its end (at most `timeout` and two seconds).
CommandResult run_command(const std::vector<std::string>& arguments,
                          std::chrono::milliseconds timeout = kCommandTimeout);

// The path of a program in PATH; empty if there is none.
std::string find_program(const std::string& name);

// The text as one word of a POSIX shell.
std::string shell_quoted(const std::string& text);

}  // namespace orchestrate
