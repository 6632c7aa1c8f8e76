#include "coordinator/database/read_database.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <system_error>

#include <SQLiteCpp/Backup.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/temporary_folder.h"
#include "common/protocol/database_place.h"
#include "results/schema.h"

namespace orchestrate {
namespace {

namespace fs = std::filesystem;

constexpr int kBusyMilliseconds = 5000;
constexpr const char* kLogs[] = {"-wal",
                                 "-journal"};  // beside a database, with what is not in it yet, or no longer

// In memory at first, then in a file that SQLite removes.
SQLite::Database temporary_database() {
    return {"", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE};
}

bool is_of_older_version(SQLite::Database& database) {
    const int version = database.execAndGet("PRAGMA user_version").getInt();
    return database.execAndGet("PRAGMA application_id").getInt() == kApplicationId && version >= 1 &&
           version < kSchemaVersion;
}

SQLite::Database migrated_copy(SQLite::Database& database) {
    SQLite::Database copy = temporary_database();
    SQLite::Backup(copy, database).executeStep();
    prepare_schema(copy);
    return copy;
}

SQLite::Database opened(const std::string& name, int flags) {
    SQLite::Database database(name, flags, kBusyMilliseconds);
    database.execAndGet("SELECT count(*) FROM sqlite_schema");
    return database;
}

std::string uri_of(const fs::path& path) {
    std::string uri = "file:";
    for (const char character : path.string()) {
        if (character == '%' || character == '?' || character == '#') {
            char escaped[4];
            std::snprintf(escaped, sizeof escaped, "%%%02X", static_cast<unsigned char>(character));
            uri += escaped;
        } else {
            uri += character;
        }
    }
    return uri + "?immutable=1";
}

bool has_logs(const fs::path& path) {
    for (const char* log : kLogs) {
        struct stat status {};
        if (stat((path.string() + log).c_str(), &status) == 0 ? status.st_size > 0 : errno != ENOENT) {
            return true;
        }
    }
    return false;
}

// With what the logs beside it hold. Nobody writes it: who does has a third file there, with which it could be read.
SQLite::Database copy_with_logs(const fs::path& path) {
    const TemporaryFolder folder;
    const fs::path copy = folder.path() / "copy.db";
    fs::copy_file(path, copy);
    for (const char* log : kLogs) {
        const std::string file = path.string() + log;
        if (access(file.c_str(), F_OK) == 0) {
            fs::copy_file(file, copy.string() + log);
        }
    }
    for (const auto& entry : fs::directory_iterator(folder.path())) {
        fs::permissions(entry.path(), fs::perms::owner_read | fs::perms::owner_write);
    }
    SQLite::Database whole = opened(copy.string(), SQLite::OPEN_READWRITE);
    SQLite::Database database = temporary_database();
    SQLite::Backup(database, whole).executeStep();
    return database;
}

// Where SQLite can make no files beside the database.
SQLite::Database open_where_nothing_can_be_written(const fs::path& path) {
    if (!has_logs(path)) {
        return opened(uri_of(path), SQLite::OPEN_READONLY | SQLite::OPEN_URI | SQLite::OPEN_NOMUTEX);
    }
    try {
        return copy_with_logs(path);
    } catch (const std::system_error& error) {
        throw UserError(
            "the newest results of '" + path.string() +
            "' are in files beside it, which cannot be read together with it here: " + error.what());
    }
}

bool needs_files_beside(int code) {
    return code == SQLITE_CANTOPEN || code == SQLITE_READONLY;
}

}  // namespace

SQLite::Database open_read_only(const fs::path& given) {
    const fs::path path = resolve_database(given);
    struct stat status {};
    if (stat(path.c_str(), &status) != 0 && (errno == ENOENT || errno == ENOTDIR)) {
        throw UserError("there is no database '" + given.string() +
                        "' here; run a study first, or name the database with --db FILE");
    }
    place_of(path);  // one file of one name
    if (access(path.c_str(), R_OK) != 0) {
        throw UserError("cannot read the database '" + path.string() + "': " + std::strerror(errno) +
                        "; its owner can make a copy for you with: orchestrate backup");
    }
    try {
        try {
            return opened(path.string(), SQLite::OPEN_READONLY | SQLite::OPEN_NOMUTEX);
        } catch (const SQLite::Exception& error) {
            // Never where a coordinator may write: closing a copied file would end its SQLite's locks in this process.
            if (!needs_files_beside(error.getErrorCode() & 0xFF) ||
                access(path.parent_path().c_str(), W_OK) == 0) {
                throw;
            }
        }
        return open_where_nothing_can_be_written(path);
    } catch (const SQLite::Exception& error) {
        const bool busy = (error.getErrorCode() & 0xFF) == SQLITE_BUSY;
        throw UserError(
            "cannot read the database '" + path.string() + "': " + error.what() +
            (busy ? "; on a network file system the coordinator keeps it to itself while it runs" : ""));
    }
}

void refuse_foreign_database(const fs::path& path) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) {
        return;  // nothing is there yet
    }
    place_of(path);
    if (status.st_size == 0 || access(path.c_str(), R_OK) != 0) {
        return;
    }
    try {
        SQLite::Database database(path.string(), SQLite::OPEN_READONLY);
        holds_results(database);
    } catch (const SQLite::Exception&) {
        return;  // somebody else has it now, or it is damaged: whoever opens it says so
    }
}

SQLite::Database open_to_read(const fs::path& path) {
    SQLite::Database database = open_read_only(path);
    try {
        if (!holds_results(database)) {
            throw UserError("the database '" + path.string() +
                            "' is empty: there are no results in it yet; run a study first, or name another "
                            "database with --db FILE");
        }
        return is_of_older_version(database) ? migrated_copy(database) : std::move(database);
    } catch (const SQLite::Exception& error) {
        throw UserError("cannot read the database '" + path.string() + "': " + error.what());
    }
}

}  // namespace orchestrate
