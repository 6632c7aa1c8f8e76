// What a command keeps in its checkpoint directories, which only the command can read. Files that are unfinished by their
// name, or lie in a directory that is, do not count: README.md, "Your own script".
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/job/checkpoint.h"

namespace orchestrate {

// The directory to continue from, the best first; of a file of a command, whatever its name, its directory is meant. Null:
// begin at the beginning.
const StoredCheckpoint* checkpoint_to_resume(const std::vector<StoredCheckpoint>& candidates);
std::string directory_of(const StoredCheckpoint& checkpoint);

// Whether an attempt has got on: its directory holds a finished file that the directory it continued from ("" if it
// began at the beginning) does not hold with the same content.
bool has_new_checkpoint(const std::filesystem::path& directory, const std::filesystem::path& resumed_from);

}  // namespace orchestrate
