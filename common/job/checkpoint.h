// What the coordinator knows about the checkpoints of a job, and what a worker is told of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <boost/describe.hpp>

#include "common/base/json.h"

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

// A file that the coordinator has put where checkpoints and models lie. A worker that finds it with this content sees
// that place; for one that does not, they travel over its connection.
struct SharedFolderMark {
    std::string file;  // absolute; empty: the place is not marked, and taken to be seen
    std::string content;
};
BOOST_DESCRIBE_STRUCT(SharedFolderMark, (), (file, content))

// What an attempt does about checkpoints.
struct CheckpointPlan {
    std::int64_t attempt = 0;
    std::string folder;  // of this attempt, which alone writes there; empty: no checkpoints
    double interval_seconds = 60;
    std::vector<StoredCheckpoint> resume_from;  // the best first; those that cannot be read are passed over
    SharedFolderMark mark = {};
};
BOOST_DESCRIBE_STRUCT(CheckpointPlan, (), (attempt, folder, interval_seconds, resume_from, mark))

// Where an attempt goes on that does not begin at the first step.
struct ResumePoint {
    std::int64_t attempt = 0;  // whose checkpoint it is
    std::int64_t step = 0;
    std::int64_t steps = 0;
    std::int64_t epochs = 0;  // finished, with their metrics
    // Of the checkpoint. Empty: it is no single file, or the worker is older and does not say.
    std::string file = {};
    std::string sha256 = {};
    std::int64_t bytes = 0;
};
BOOST_DESCRIBE_STRUCT(ResumePoint, (), (attempt, step, steps, epochs, file, sha256, bytes))

}  // namespace orchestrate
