// The results database: tables, and the views that are its documented, stable interface (see
// results/README.md). Only the coordinator writes; everybody may read.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

namespace orchestrate {

inline constexpr int kSchemaVersion = 8;           // PRAGMA user_version
inline constexpr int kApplicationId = 0x4F524348;  // PRAGMA application_id: "ORCH"

// Whether it is a results database; false: it is empty. Reads only. Throws UserError if it is another program's, or was
// written by a newer one.
bool holds_results(SQLite::Database& database);

// Creates tables and views in an empty database, or checks the version of an existing one and brings its
// tables (see migration.h) and views up to date; switches foreign keys on for this connection. A database
// opened read-only is only checked. Throws UserError if the file is no results database or was written by a newer program. Such a file
// is left byte for byte as it was, provided nothing was written through this connection before: set
// journal_mode and the like after. Must not be called inside a transaction.
void prepare_schema(SQLite::Database& database);

}  // namespace orchestrate
