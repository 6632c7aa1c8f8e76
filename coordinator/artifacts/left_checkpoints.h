// Checkpoints that nothing is going to continue from by itself: of trials that were stopped early, of jobs that failed, were
// cancelled or quarantined, and of jobs that this database does not know. They are kept, since a user may ask for such a
// job again (`retry`, a search that is widened), until a user wants the space.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>

#include "common/job/ids.h"
#include "coordinator/artifacts/checkpoint_folders.h"

namespace orchestrate {

struct LeftCheckpoints {
    JobId job;
    std::string title;  // "trial 3, seed 1"
    std::string
        reason;  // "stopped early", "failed (user_error)", "cancelled", "quarantined", "no such job"...
    std::filesystem::path folder;
    std::int64_t bytes = 0;
};

// In order of jobs. Those of jobs that wait, run, or are of a search that is still to continue are not among them. Reads
// only.
std::vector<LeftCheckpoints> left_checkpoints(SQLite::Database& database,
                                              const CheckpointFolders& checkpoints);

// Of the others: how many there are, and their bytes.
struct NeededCheckpoints {
    std::int64_t jobs = 0;
    std::int64_t bytes = 0;
};
NeededCheckpoints needed_checkpoints(SQLite::Database& database, const CheckpointFolders& checkpoints);

// From the database, then from the disk: such a job would begin anew. The caller holds the database's lock. Throws
// SQLite::Exception and std::filesystem::filesystem_error.
void remove_checkpoints(SQLite::Database& database, const std::vector<LeftCheckpoints>& left);

}  // namespace orchestrate
