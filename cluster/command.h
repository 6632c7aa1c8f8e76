// Runs a short command to its end and returns what it wrote: how this room speaks with sbatch, squeue,
// scontrol and scancel. Those who need it take a CommandRunner, so that tests can answer in Slurm's place.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace orchestrate {

struct CommandResult {
    bool found = true;  // false: there is no such program, and nothing else here counts
    int exit_code = 0;  // 128 + signal if it was ended by one
    std::string output;
    std::string errors;
};

using CommandRunner = std::function<CommandResult(const std::vector<std::string>& arguments)>;

// Runs a program found in PATH, without a shell and with an empty standard input. It is killed after `limit`
// (then the exit code is 137). Throws std::runtime_error if it cannot be started for another reason than not
// being there.
CommandResult run_command(const std::vector<std::string>& arguments,
                          std::chrono::milliseconds limit = std::chrono::seconds(60));

// The path of a program in PATH; empty if there is none.
std::string find_program(const std::string& name);

// The text as one word of a POSIX shell.
std::string shell_quoted(const std::string& text);

}  // namespace orchestrate
