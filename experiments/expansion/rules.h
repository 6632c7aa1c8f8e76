// What must hold between the fields of one configuration, whatever file, search or ablation it comes from.
#pragma once

#include <string>
#include <vector>

#include "common/job/job_config.h"

namespace orchestrate {

struct Contradiction {
    std::vector<std::string> fields;  // that contradict each other
    std::string message;              // what was found, what was expected
};

std::vector<Contradiction> find_contradictions(const JobConfig& config, int ranks);

// The configuration with those fields reset to their defaults that have no effect under its other fields
// (decimals of a text form that writes words, ...), so that jobs which compute the same have the same
// identity.
JobConfig without_unused_fields(JobConfig config);

}  // namespace orchestrate
