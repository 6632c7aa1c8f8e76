#include "coordinator/read_database.h"

#include "common/error.h"

namespace orchestrate {

SQLite::Database open_to_read(const std::filesystem::path& path) {
    if (!std::filesystem::exists(path)) {
        throw UserError("there is no database '" + path.string() +
                        "' here; run a study first, or name the database with --db FILE");
    }
    try {
        SQLite::Database database(path.string(), SQLite::OPEN_READONLY, 5000);
        database.execAndGet("SELECT count(*) FROM sqlite_schema");
        return database;
    } catch (const SQLite::Exception& error) {
        throw UserError("cannot read the database '" + path.string() + "': " + error.what());
    }
}

}  // namespace orchestrate
