// The results database: tables, and the views that are its documented, stable interface (see results/README.md).
// Only the coordinator writes; everybody may read.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

namespace orchestrate {

inline constexpr int kSchemaVersion = 1;  // PRAGMA user_version

// Creates tables and views in an empty database, or checks the version of an existing one.
// Throws UserError if the file is no results database or was written by a newer program (it is left untouched).
void prepare_schema(SQLite::Database& database);

}  // namespace orchestrate
