#include "coordinator/read_database.h"

#include <SQLiteCpp/Backup.h>

#include "common/error.h"
#include "results/schema.h"

namespace orchestrate {
namespace {

bool is_of_older_version(SQLite::Database& database) {
    const int version = database.execAndGet("PRAGMA user_version").getInt();
    return database.execAndGet("PRAGMA application_id").getInt() == kApplicationId && version >= 1 &&
           version < kSchemaVersion;
}

SQLite::Database migrated_copy(SQLite::Database& database) {
    SQLite::Database copy("", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);  // a file that SQLite removes
    SQLite::Backup(copy, database).executeStep();
    prepare_schema(copy);
    return copy;
}

}  // namespace

SQLite::Database open_to_read(const std::filesystem::path& path) {
    if (!std::filesystem::exists(path)) {
        throw UserError("there is no database '" + path.string() +
                        "' here; run a study first, or name the database with --db FILE");
    }
    try {
        SQLite::Database database(path.string(), SQLite::OPEN_READONLY, 5000);
        database.execAndGet("SELECT count(*) FROM sqlite_schema");
        if (is_of_older_version(database)) {
            return migrated_copy(database);
        }
        return database;
    } catch (const SQLite::Exception& error) {
        throw UserError("cannot read the database '" + path.string() + "': " + error.what());
    }
}

}  // namespace orchestrate
