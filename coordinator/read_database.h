// Opens a results database to read it, while a study runs or after.
#pragma once

#include <filesystem>

#include <SQLiteCpp/SQLiteCpp.h>

namespace orchestrate {

// Of an older schema version: a temporary copy that is brought to today's; the file stays as it is. Throws UserError if
// there is none, or it cannot be read.
SQLite::Database open_to_read(const std::filesystem::path& path);

}  // namespace orchestrate
