// The database file beneath the job store: opened with the journal that its file system can bear, written in
// transactions, and with errors told apart: those that pass (no room, the disk failed) and those that do not.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>

#include <SQLiteCpp/Backup.h>
#include <SQLiteCpp/SQLiteCpp.h>

#include "coordinator/database/sql.h"

namespace orchestrate {

// The database cannot be read or written at the moment. Nothing was changed, and the same may work later.
class StoreUnavailable : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// Whether one change or message is to blame, and others may still be written: the tables refuse it, or it cannot be
// converted. Not for what the database or its disk does.
bool is_fault_of_a_change(const std::exception& error);

struct StoreOptions {
    // Changes wait for commit(), which writes them in one transaction; otherwise each is on disk when its call returns.
    bool grouped = false;
    std::string vfs;  // SQLite's name of the layer that reads and writes files; empty: its own
    std::optional<bool> network_file_system;  // nothing: it is looked at
    bool sync =
        true;  // false: what is acknowledged may be lost in a power cut; so that a test can show that it notices
    // Called after each transaction, before its caller learns that it is on disk, and before the file is opened anew. It
    // throws if the path no longer means the file that was opened.
    std::function<void()> verify = {};
};

// Not thread-safe.
class StoreFile {
  public:
    // Opens or creates the database: WAL on a local disk, a rollback journal with exclusive locking on a network file
    // system. Throws UserError if it is no results database or cannot be used.
    StoreFile(std::filesystem::path path, StoreOptions options);
    // A database in memory whose schema is prepared.
    StoreFile(SQLite::Database database, StoreOptions options);

    const StoreOptions& options() const { return options_; }
    const std::string& journal_mode() const { return journal_mode_; }
    // Whether other connections can read the file: not with exclusive locking.
    bool is_shared() const { return journal_mode_ == "wal"; }

    // What was worked in the database so far, in virtual instructions of SQLite, to thousands.
    std::int64_t instructions() const { return 1000 * *thousands_of_instructions_; }

    // Copies the database step by step; changes made meanwhile are in the copy. begin_copy() drops an unfinished one.
    // Both throw StoreUnavailable and SQLite::Exception; the copy has to be begun again then.
    void begin_copy();
    // Copies that many pages. The copy once it is complete: a temporary database that SQLite removes when it is closed.
    std::optional<SQLite::Database> continue_copy(int pages);

    // Calls `work(database)` in a transaction: all of it is on disk afterwards, or nothing. Throws StoreUnavailable,
    // SQLite::Exception for what would fail again, DatabaseGone (database_lock.h) if what was written can no longer be found
    // under the database's name, and what `work` throws.
    template <class Work>
    auto transaction(Work work) {
        return guarded([&](StoreDatabase& database) {
            SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
            if constexpr (std::is_void_v<decltype(work(database))>) {
                work(database);
                transaction.commit();
                verify();
            } else {
                auto result = work(database);
                transaction.commit();
                verify();
                return result;
            }
        });
    }

    // Calls `work(database)`, which only reads. Throws as transaction().
    template <class Work>
    auto read(Work work) {
        return guarded(work);
    }

  private:
    template <class Work>
    auto guarded(Work work) {
        reopen_if_doubtful();
        try {
            return work(*database_);
        } catch (const SQLite::Exception& error) {
            fail(error);
        }
    }
    void open();
    // Throws DatabaseGone if the write-ahead log is not the one that was opened, and what options_.verify throws.
    void verify();
    void reopen_if_doubtful();
    [[noreturn]] void fail(const SQLite::Exception& error);

    struct Copy {
        SQLite::Database database;
        std::optional<SQLite::Backup> backup;  // ends before the databases that it refers to
    };
    void count_instructions();

    std::filesystem::path path_;
    StoreOptions options_;
    // SQLite counts there.
    std::unique_ptr<std::int64_t> thousands_of_instructions_ = std::make_unique<std::int64_t>(0);
    std::optional<StoreDatabase> database_;
    std::unique_ptr<Copy> copy_;
    std::string journal_mode_;
    std::optional<std::uint64_t> log_inode_;  // of the write-ahead log, once it has been seen
    bool doubtful_ = false;  // after an error of the disk: what SQLite remembers of the file may not be so
};

}  // namespace orchestrate
