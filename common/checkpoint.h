// What the coordinator knows about the checkpoints of a job, and what a worker is told of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <boost/describe.hpp>

#include "common/json.h"

namespace orchestrate {

// One checkpoint: a file that is never changed once it has its name.
struct StoredCheckpoint {
    std::int64_t attempt = 0;  // that wrote it
    std::int64_t step = 0;     // optimiser steps done
    std::string file;          // absolute
    std::string sha256;        // as it stands at the file's end; empty: not known
    std::int64_t bytes = 0;
    bool operator==(const StoredCheckpoint&) const = default;
};
BOOST_DESCRIBE_STRUCT(StoredCheckpoint, (), (attempt, step, file, sha256, bytes))

// What an attempt does about checkpoints.
struct CheckpointPlan {
    std::int64_t attempt = 0;
    std::string folder;  // of this attempt, which alone writes there; empty: no checkpoints
    double interval_seconds = 60;
    std::vector<StoredCheckpoint> resume_from;  // the best first; those that cannot be read are passed over
};
BOOST_DESCRIBE_STRUCT(CheckpointPlan, (), (attempt, folder, interval_seconds, resume_from))

// Where an attempt goes on that does not begin at the first step.
struct ResumePoint {
    std::int64_t attempt = 0;  // whose checkpoint it is
    std::int64_t step = 0;
    std::int64_t steps = 0;
    std::int64_t epochs = 0;  // finished, with their metrics
};
BOOST_DESCRIBE_STRUCT(ResumePoint, (), (attempt, step, steps, epochs))

}  // namespace orchestrate
