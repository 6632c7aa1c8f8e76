// Opens a results database to read it, while a study runs or after.
#pragma once

#include <filesystem>

#include <SQLiteCpp/SQLiteCpp.h>

namespace orchestrate {

// Throws UserError if there is none, or it cannot be read.
SQLite::Database open_to_read(const std::filesystem::path& path);

}  // namespace orchestrate
