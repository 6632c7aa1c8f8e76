// What `plan` says of disk and memory: bytes that follow from the configurations alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/expansion/study.h"
#include "results/cost_estimate.h"

namespace orchestrate {

struct SpaceNeeded {
    std::int64_t parameters = 0;        // of the largest model
    std::int64_t checkpoint_bytes = 0;  // of it: weights, two moments, and perhaps the best epoch's weights
    std::int64_t checkpoints = 0;       // at most at a time: two of each job that runs or is paused
    std::int64_t models = 0;            // to be saved
    std::int64_t model_bytes = 0;       // of all of them
    std::int64_t memory_per_rank = 0;   // weights, gradients and moments; activations not counted
};

// `paused`: jobs that wait at a rung at a time, at most. `vocabulary`: tokens of the study's.
SpaceNeeded space_needed(const std::vector<PlannedJob>& jobs, std::int64_t vocabulary, std::int64_t classes,
                         std::int64_t jobs_at_a_time, std::int64_t paused, bool saves_models);

// Lines for a terminal, at most 80 columns.
std::string render_space(const SpaceNeeded& space);

}  // namespace orchestrate
