// What one of Slurm's commands may answer.
#pragma once

#include <string>
#include <utility>

#include "cluster/command.h"

namespace orchestrate {

inline CommandResult prints(std::string output) {
    CommandResult result;
    result.output = std::move(output);
    return result;
}

inline CommandResult fails(std::string errors) {
    CommandResult result;
    result.exit_code = 1;
    result.errors = std::move(errors);
    return result;
}

inline CommandResult hangs() {
    CommandResult result;
    result.timed_out = true;
    result.exit_code = 137;
    return result;
}

inline CommandResult is_missing() {
    CommandResult result;
    result.found = false;
    return result;
}

}  // namespace orchestrate
