// The directory beside a database, DATABASE.d: access files, certificate, logs, checkpoints, models and the lock.
#pragma once

#include <filesystem>

namespace orchestrate {

// Its path, absolute, beside the file that the database's name leads to.
std::filesystem::path state_folder(const std::filesystem::path& database);

// Makes it (mode 0700) or checks the one that there is. Throws UserError, saying how to fix it: if it cannot be made, if
// it or its directory of checkpoints, models or logs is a symbolic link (which a copy of the directory would share with
// the original), if it belongs to another user, or if others may write to it. root may use one that belongs to the
// database's owner.
void prepare_state_directory(const std::filesystem::path& database);

}  // namespace orchestrate
