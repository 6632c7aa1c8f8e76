// Brings the tables of a database that an older program made to today's schema. A copy of the file as it was is
// made before.
#pragma once

#include <filesystem>

#include <SQLiteCpp/SQLiteCpp.h>

namespace orchestrate {

// Rebuilds every table of schema.sql, keeping its rows, in one transaction: afterwards the tables are those of a
// new database, and kSchemaVersion is its version. Tables, views and indexes that users added stay. The copy is
// FILE.version-N (with -2, -3... if that name is taken), on disk before anything changes; its name is returned,
// empty for a database in memory. Must not be called inside a transaction. Throws UserError if there is no room
// for the copy or it cannot be written; then, and after any other error, the database is as it was.
std::filesystem::path migrate_schema(SQLite::Database& database, int from_version);

}  // namespace orchestrate
