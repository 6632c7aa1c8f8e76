#include "coordinator/database/store_file.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include "common/base/error.h"
#include "common/base/host.h"
#include "common/protocol/database_place.h"
#include "coordinator/database/database_lock.h"
#include "results/schema.h"

namespace orchestrate {
namespace {

// Errors that may pass by themselves or when a user has done something.
bool may_pass(int code) {
    switch (code & 0xFF) {
        case SQLITE_FULL:
        case SQLITE_IOERR:
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
        case SQLITE_CANTOPEN:
        case SQLITE_READONLY:
        case SQLITE_NOMEM:
        case SQLITE_PROTOCOL:
            return true;
        default:
            return false;
    }
}

std::string unavailable_text(const std::filesystem::path& path, const SQLite::Exception& error) {
    const std::string file = "the database '" + path.string() + "'";
    if ((error.getErrorCode() & 0xFF) == SQLITE_FULL) {
        return "there is no room on the disk for " + file + "; make room there";
    }
    return file + " cannot be used: " + error.what() + " (" + sqlite3_errstr(error.getExtendedErrorCode()) +
           "); look after its disk";
}

bool is_refused_by_the_tables(const SQLite::Exception& error) {
    switch (error.getErrorCode() & 0xFF) {
        case SQLITE_CONSTRAINT:
        case SQLITE_MISMATCH:
        case SQLITE_TOOBIG:
        case SQLITE_RANGE:
            return true;
        default:
            return false;
    }
}

}  // namespace

bool is_fault_of_a_change(const std::exception& error) {
    if (const auto* sqlite = dynamic_cast<const SQLite::Exception*>(&error)) {
        return is_refused_by_the_tables(*sqlite);
    }
    return dynamic_cast<const StoreUnavailable*>(&error) == nullptr &&
           dynamic_cast<const DatabaseGone*>(&error) == nullptr;
}

StoreFile::StoreFile(std::filesystem::path path, StoreOptions options)
    : path_(std::move(path)), options_(std::move(options)) {
    try {
        open();
    } catch (const SQLite::Exception& error) {
        throw UserError("cannot use the database '" + path_.string() + "': " + error.what() +
                        "; name another one with --db FILE");
    }
}

StoreFile::StoreFile(SQLite::Database database, StoreOptions options)
    : options_(std::move(options)), database_(std::in_place, std::move(database)), journal_mode_("memory") {
    database_->exec("PRAGMA foreign_keys = ON");
    count_instructions();
}

void StoreFile::count_instructions() {
    constexpr int kInstructions = 1000;
    sqlite3_progress_handler(
        database_->getHandle(), kInstructions,
        [](void* count) {
            ++*static_cast<std::int64_t*>(count);
            return 0;
        },
        thousands_of_instructions_.get());
}

void StoreFile::begin_copy() {
    copy_.reset();
    guarded([&](StoreDatabase& database) {
        std::unique_ptr<Copy> copy(
            new Copy{SQLite::Database("", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE), {}});
        copy->backup.emplace(copy->database, database);
        copy_ = std::move(copy);
    });
}

std::optional<SQLite::Database> StoreFile::continue_copy(int pages) {
    if (!copy_) {
        throw StoreUnavailable("the database was opened again while it was copied; try again");
    }
    return guarded([&](StoreDatabase& database) -> std::optional<SQLite::Database> {
        const int code = copy_->backup->executeStep(pages);
        if (code == SQLITE_DONE) {
            copy_->backup.reset();
            std::optional<SQLite::Database> done(std::move(copy_->database));
            copy_.reset();
            return done;
        }
        if (code != SQLITE_OK) {
            throw SQLite::Exception(database.getHandle(), code);
        }
        return std::nullopt;
    });
}

void StoreFile::open() {
    copy_.reset();
    database_.reset();
    log_inode_.reset();
    database_.emplace(path_.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE | SQLite::OPEN_NOMUTEX,
                      5000, options_.vfs);
    StoreDatabase& database = *database_;
    count_instructions();
    // Before anything is written: new tables shall survive a power cut, too.
    database.exec(options_.sync ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = OFF");
    prepare_schema(database);
    // WAL needs shared memory between processes of one host: not on network file systems.
    const bool network = options_.network_file_system
                             ? *options_.network_file_system
                             : is_network_file_system(std::filesystem::absolute(path_).parent_path());
    if (network) {
        database.exec("PRAGMA locking_mode = EXCLUSIVE");
    }
    journal_mode_ =
        database.execAndGet(network ? "PRAGMA journal_mode = DELETE" : "PRAGMA journal_mode = WAL")
            .getString();
    database.exec("PRAGMA foreign_keys = ON");
}

void StoreFile::verify() {
    if (options_.verify) {
        options_.verify();
    }
    if (journal_mode_ != "wal" || !options_.vfs.empty()) {
        return;
    }
    const std::string log = resolve_database(path_).string() + "-wal";
    struct stat status {};
    const bool found = stat(log.c_str(), &status) == 0;
    if (!found && errno != ENOENT) {
        return;  // out of reach for the moment
    }
    if (found && !log_inode_) {
        log_inode_ = status.st_ino;
    }
    if (log_inode_ && (!found || status.st_ino != *log_inode_)) {
        // The removed file is still open here, so that nothing of it is lost.
        database_->tryExec("PRAGMA wal_checkpoint(FULL)");
        throw DatabaseGone("'" + log + "', which holds the newest transactions of the database, was " +
                           (found ? "replaced" : "removed") +
                           " while this coordinator used it. It stops; what it has stored has been written "
                           "into the database");
    }
}

void StoreFile::reopen_if_doubtful() {
    if (!doubtful_ || path_.empty()) {
        return;
    }
    if (options_.verify) {
        options_.verify();  // else a new, empty database would be made
    }
    try {
        open();
    } catch (const SQLite::Exception& error) {
        if (may_pass(error.getErrorCode())) {
            throw StoreUnavailable(unavailable_text(path_, error));
        }
        throw;
    }
    doubtful_ = false;
}

void StoreFile::fail(const SQLite::Exception& error) {
    doubtful_ = !is_refused_by_the_tables(error);
    if (may_pass(error.getErrorCode())) {
        throw StoreUnavailable(unavailable_text(path_, error));
    }
    throw SQLite::Exception(error);
}

}  // namespace orchestrate
