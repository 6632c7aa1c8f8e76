// Opens a results database to read it, while a study runs or after.
#pragma once

#include <filesystem>

#include <SQLiteCpp/SQLiteCpp.h>

namespace orchestrate {

// As it is, whatever its schema version. Where the directory cannot be written (another user's, read-only media), newest
// transactions that are still in the log beside it are read through a temporary copy. Throws UserError if there is none, if
// it has several names, or if it cannot be read.
SQLite::Database open_read_only(const std::filesystem::path& path);

// Throws UserError if there is something that is no results database and not empty, such as a directory, a CSV file or
// another program's database. Makes and changes nothing. `path` as resolve_database() returns it.
void refuse_foreign_database(const std::filesystem::path& path);

// As open_read_only; throws UserError also if it is empty, or is no results database. Of an older schema version: a temporary copy that is brought to today's, while the file stays as it is.
SQLite::Database open_to_read(const std::filesystem::path& path);

}  // namespace orchestrate
