// Checkpoints of trials that a search with rungs has stopped early. They stay, since a search that is widened, or runs
// without rungs, goes on from them, until a person wants the room.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>

#include "coordinator/checkpoint_folders.h"

namespace orchestrate {

struct StoppedTrial {
    std::int64_t job = 0;
    std::string title;  // "trial 3, seed 1"
    std::filesystem::path folder;
    std::int64_t bytes = 0;
};

// Those that have checkpoints and are of no study that runs or is to go on; in order of jobs. Reads only.
std::vector<StoppedTrial> stopped_trials(SQLite::Database& database, const CheckpointFolders& checkpoints);

// From the database, then from the disk: such a trial would begin anew. The caller holds the database's lock. Throws
// SQLite::Exception and std::filesystem::filesystem_error.
void remove_checkpoints(SQLite::Database& database, const std::vector<StoppedTrial>& trials);

}  // namespace orchestrate
