// `orchestrate backup`.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <string>

#include <CLI/CLI.hpp>
#include <SQLiteCpp/Backup.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include "common/base/durable_files.h"
#include "common/base/error.h"
#include "common/protocol/database_place.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/command_options.h"
#include "coordinator/database/database_owner.h"
#include "coordinator/database/read_database.h"
#include "coordinator/report/terminal.h"
#include "results/schema.h"

namespace orchestrate {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr int kPagesAtATime = 2048;

// The unfinished file; removed unless it gets its name.
class UnfinishedFile {
  public:
    explicit UnfinishedFile(const fs::path& wanted)
        : wanted_(wanted), path_(wanted.string() + "." + std::to_string(getpid()) + kUnfinishedSuffix) {
        remove();
    }
    ~UnfinishedFile() { remove(); }
    UnfinishedFile(const UnfinishedFile&) = delete;
    UnfinishedFile& operator=(const UnfinishedFile&) = delete;

    const fs::path& path() const { return path_; }

    // On disk, and under the wanted name, which no other file may have got meanwhile.
    void finish() {
        sync(path_);
        if (renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, wanted_.c_str(), RENAME_NOREPLACE) != 0) {
            const bool unsupported = errno == EINVAL || errno == ENOSYS;
            if (!unsupported || access(wanted_.c_str(), F_OK) == 0 ||
                rename(path_.c_str(), wanted_.c_str()) != 0) {
                throw UserError("cannot write the backup '" + wanted_.string() +
                                "': " + std::strerror(errno));
            }
        }
        sync(wanted_.parent_path());
    }

  private:
    void remove() const {
        for (const char* suffix : {"", "-journal", "-wal", "-shm"}) {
            unlink((path_.string() + suffix).c_str());
        }
    }

    static void sync(const fs::path& path) {
        const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
        const bool synced = file >= 0 && fsync(file) == 0;
        const int why = errno;
        if (file >= 0) {
            close(file);
        }
        if (!synced) {
            throw UserError("cannot write '" + path.string() + "' to the disk: " + std::strerror(why));
        }
    }

    fs::path wanted_;
    fs::path path_;
};

// Where the backup will be. Throws UserError if something is there already.
fs::path destination_of(const fs::path& wanted) {
    if (wanted.empty()) {
        throw UserError("the name of the backup is empty; name a file, such as 'backup.db'");
    }
    std::error_code error;
    const auto status = fs::symlink_status(wanted, error);
    if (fs::is_directory(fs::status(wanted, error))) {
        throw UserError("'" + wanted.string() + "' is a directory; name the file of the backup, such as '" +
                        (wanted / "results.db").string() + "'");
    }
    if (fs::exists(status)) {
        throw UserError("'" + wanted.string() + "' exists already and is left as it is; name another file");
    }
    fs::path path = fs::absolute(wanted);
    if (!fs::is_directory(path.parent_path(), error)) {
        throw UserError("there is no directory '" + path.parent_path().string() + "' for the backup");
    }
    return path;
}

// All pages as they were at one moment. The reader's transaction keeps that moment while a coordinator writes on. False if
// the user has interrupted it.
bool copy_pages(SQLite::Database& source, SQLite::Database& copy) {
    const bool shows_progress = isatty(STDERR_FILENO) == 1;
    SignalWatch signals;
    source.exec("BEGIN");
    source.execAndGet("SELECT count(*) FROM sqlite_schema");
    SQLite::Backup backup(copy, source);
    for (int result = SQLITE_OK; (result = backup.executeStep(kPagesAtATime)) != SQLITE_DONE;) {
        if (result != SQLITE_OK) {
            throw UserError("the database cannot be copied now: " + std::string(sqlite3_errstr(result)));
        }
        const int total = backup.getTotalPageCount();
        if (shows_progress) {
            std::cerr << fmt::format("\r{:3.0f} % copied",
                                     100.0 * (total - backup.getRemainingPageCount()) / total);
        }
        if (signals.wait(0ms)) {
            return false;
        }
    }
    if (shows_progress) {
        std::cerr << "\r              \r";
    }
    return true;
}

// A backup is a database of its own, which nobody has. The first coordinator that opens it writes down where it is.
void give_own_identity(SQLite::Database& copy) {
    const auto identity = read_identity(copy);
    if (!identity) {
        return;  // of an older schema version, or never opened by a coordinator
    }
    SQLite::Transaction transaction(copy);
    copy.exec("DELETE FROM database_owner");
    SQLite::Statement update(copy,
                             "UPDATE database_identity SET id = ?, copied_from = ?, host = '', path = '', "
                             "device = 0, inode = 0");
    update.bind(1, random_database_id());
    update.bind(2, identity->id);
    update.exec();
    transaction.commit();
}

void check(SQLite::Database& copy) {
    const std::string found = copy.execAndGet("PRAGMA integrity_check").getString();
    if (found != "ok") {
        throw UserError("the backup is not written, since the database is damaged: " + found);
    }
}

int back_up(const fs::path& database, const fs::path& wanted) {
    const fs::path destination = destination_of(wanted);
    SQLite::Database source = open_read_only(database);
    prepare_schema(source);  // only looked at: it is a results database
    UnfinishedFile unfinished(destination);
    std::string jobs;
    try {
        SQLite::Database copy(unfinished.path().string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
        if (!copy_pages(source, copy)) {
            std::cerr << "\ninterrupted; no backup was written\n";
            return 130;
        }
        copy.exec("PRAGMA journal_mode = DELETE");  // so that it is one file
        give_own_identity(copy);
        check(copy);
        SQLite::Statement query(copy, "SELECT count(*) FROM jobs WHERE state = 'succeeded'");
        query.executeStep();
        jobs = query.getColumn(0).getString();
    } catch (const SQLite::Exception& error) {
        throw UserError("cannot write a backup of '" + database.string() + "' to '" + wanted.string() +
                        "': " + error.what());
    }
    unfinished.finish();
    std::cout << fmt::format(
        "backup of '{}' written to '{}': {:.1f} MB, {} succeeded job{}, checked\n", database.string(),
        wanted.string(), static_cast<double>(fs::file_size(destination)) / 1e6, jobs, jobs == "1" ? "" : "s");
    return 0;
}

}  // namespace

void add_backup_command(CommandLine& line) {
    struct Options {
        std::string database = kDefaultDatabase;
        std::string destination;
    };
    const auto options = std::make_shared<Options>();
    CLI::App& command = line.add(
        "backup", "Copy the database into one file that is whole and checked, also while a study runs",
        [options] { return back_up(options->database, options->destination); });
    add_database(command, options->database);
    command.add_option("out", options->destination, "The file to write; it must not exist")
        ->required()
        ->type_name("OUT");
}

}  // namespace orchestrate
