#include "coordinator/database/database_lock.h"

#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/host.h"
#include "common/base/json.h"
#include "common/base/time_text.h"
#include "coordinator/database/database_owner.h"
#include "coordinator/database/read_database.h"
#include "coordinator/database/state_directory.h"
#include "results/schema.h"

namespace orchestrate {
namespace {

namespace fs = std::filesystem;

// SQLite locks bytes near 2^30; a database has at most 2^48.
constexpr off_t kLockedByte = off_t{1} << 62;

struct Header {
    std::uint32_t page_size = 0;
    std::uint32_t pages = 0;
    std::uint32_t version = 0;      // PRAGMA user_version
    std::uint32_t application = 0;  // PRAGMA application_id
};

// Of an SQLite database; nothing if the file has none.
std::optional<Header> read_header(int file) {
    std::array<unsigned char, 100> bytes{};
    if (pread(file, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()) ||
        std::memcmp(bytes.data(), "SQLite format 3", 16) != 0) {
        return std::nullopt;
    }
    const auto number = [&](std::size_t at) {
        return std::uint32_t{bytes[at]} << 24 | std::uint32_t{bytes[at + 1]} << 16 |
               std::uint32_t{bytes[at + 2]} << 8 | std::uint32_t{bytes[at + 3]};
    };
    Header header;
    header.page_size = std::uint32_t{bytes[16]} << 8 | bytes[17];
    header.page_size = header.page_size == 1 ? 65536 : header.page_size;
    // Written by whoever wrote the whole header last; else the number of pages is an old program's.
    header.pages = number(24) == number(92) ? number(28) : 0;
    header.version = number(60);
    header.application = number(68);
    return header;
}

int open_lock(const fs::path& path) {
    const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    if (file < 0) {
        throw UserError("cannot open '" + path.string() + "': " + std::strerror(errno));
    }
    return file;
}

// False if another process has the lock.
bool lock(int file, int command, off_t start, off_t length, const fs::path& path) {
    struct flock wanted {};
    wanted.l_type = F_WRLCK;
    wanted.l_whence = SEEK_SET;
    wanted.l_start = start;
    wanted.l_len = length;
    if (fcntl(file, command, &wanted) == 0) {
        return true;
    }
    if (errno == EAGAIN || errno == EACCES) {
        return false;
    }
    throw UserError(
        "cannot lock '" + path.string() + "': " + std::strerror(errno) +
        ". Its file system has no locks, which a database needs; name a database on another one with --db "
        "FILE");
}

// Nothing if the last holder has ended in order, or its name was lost in a power cut.
std::optional<LockHolder> read_holder(int file) {
    std::array<char, 1024> text{};
    const ssize_t size = pread(file, text.data(), text.size(), 0);
    if (size <= 0) {
        return std::nullopt;
    }
    const auto json = Json::parse(text.data(), text.data() + size, nullptr, false);
    if (!json.is_object()) {
        return std::nullopt;
    }
    try {
        return json.get<LockHolder>();
    } catch (const std::exception&) {
        return std::nullopt;
    }
}

// By the clock that stamps files there, which is the server's on a network file system.
double seconds_since_heartbeat(int file, const fs::path& directory) {
    const auto probe = directory / ("lock-clock-" + std::to_string(getpid()));
    const int probe_file = open_lock(probe);
    struct stat now {};
    struct stat beat {};
    const bool known =
        futimens(probe_file, nullptr) == 0 && fstat(probe_file, &now) == 0 && fstat(file, &beat) == 0;
    close(probe_file);
    unlink(probe.c_str());
    return known ? std::difftime(now.st_mtime, beat.st_mtime) : 0;
}

std::string describe(const LockHolder& holder) {
    return "process " + std::to_string(holder.process_id) + " on " + holder.host + " since " + holder.since;
}

// What the database says of its owner, if it is one of this program's and the row is about this file, not about the one
// that it is a copy of. Nothing too if it cannot be read now.
std::optional<DatabaseOwner> recorded_owner(int file, const DatabasePlace& place) {
    const auto header = read_header(file);
    if (!header || header->application != static_cast<std::uint32_t>(kApplicationId) ||
        header->version > static_cast<std::uint32_t>(kSchemaVersion)) {
        return std::nullopt;
    }
    try {
        SQLite::Database database(place.path, SQLite::OPEN_READONLY, 1000);
        const auto identity = read_identity(database);
        return identity && is_same_file(identity->place, place) ? read_owner(database) : std::nullopt;
    } catch (const SQLite::Exception&) {
        return std::nullopt;
    }
}

// Who else may have the database, by what is written down.
struct Claimant {
    LockHolder holder;
    double silent_seconds = 0;
};

// The one heard of last. Nothing if there is none on another host; those on this one are told by the locks.
std::optional<Claimant> claimant_elsewhere(const std::optional<LockHolder>& holder, int lock_file,
                                           const fs::path& directory,
                                           const std::optional<DatabaseOwner>& owner) {
    std::optional<Claimant> found;
    const auto consider = [&](const LockHolder& candidate, double silent) {
        if (candidate.host != host_name() && (!found || silent < found->silent_seconds)) {
            found = Claimant{candidate, silent};
        }
    };
    if (holder) {
        consider(*holder, seconds_since_heartbeat(lock_file, directory));
    }
    if (owner) {
        const auto silence = silence_of(*owner, std::chrono::system_clock::now());
        consider({owner->host, owner->process_id, owner->started_at},
                 silence ? static_cast<double>(silence->count()) : 0);
    }
    return found;
}

}  // namespace

bool DatabaseLock::is_held(const fs::path& database) {
    const fs::path path = state_folder(resolve_database(database)) / "lock";
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) {
        return false;
    }
    struct flock found {};
    found.l_type = F_RDLCK;
    found.l_whence = SEEK_SET;
    const bool held = fcntl(file, F_OFD_GETLK, &found) == 0 && found.l_type != F_UNLCK;
    close(file);
    return held;
}

DatabaseLock::DatabaseLock(const fs::path& database, bool take_over)
    : database_(resolve_database(database)),
      directory_(state_folder(database_)),
      path_(directory_ / "lock"),
      self_{host_name(), getpid(), utc_now_text()} {
    refuse_foreign_database(database_);
    prepare_state_directory(database_);
    try {
        open_database();
        file_ = open_lock(path_);
        const bool locked_database = lock_database();
        const bool locked = lock_file();
        const auto holder = read_holder(file_);
        const auto owner = recorded_owner(database_file_, place_);
        const auto elsewhere = claimant_elsewhere(holder, file_, directory_, owner);
        const std::string in_use =
            "the database '" + database_.string() + "' is in use by another coordinator: ";
        if (elsewhere) {
            const std::string heard =
                describe(elsewhere->holder) + ", heard of " +
                duration_text(std::chrono::duration<double>(elsewhere->silent_seconds)) + " ago";
            if (elsewhere->silent_seconds < kHeartbeatLimitSeconds) {
                throw DatabaseHeld(
                    in_use + heard +
                    "; look at it with `orchestrate status`, or name another database with --db "
                    "FILE");
            }
            if (!take_over) {
                throw UserError(in_use + heard +
                                "; if it is certain that it runs no more, take the database over " +
                                "with --take-over");
            }
            if (!locked) {
                replace_lock_file();
            }
        } else if (!locked || !locked_database) {
            const std::string who = holder  ? describe(*holder)
                                    : owner ? describe({owner->host, owner->process_id, owner->started_at})
                                            : "unknown";
            throw DatabaseHeld(
                in_use + who +
                "; look at it with `orchestrate status`, or name another database with --db FILE");
        }
        write_holder();
    } catch (...) {
        if (made_database_) {
            unlink(database_.c_str());
        }
        close(file_);
        close(database_file_);
        throw;
    }
}

// Opened before SQLite opens it and closed after: closing any file of it ends the locks that SQLite has in this process.
void DatabaseLock::open_database() {
    constexpr mode_t kAsSqlite = S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH;
    constexpr int kFlags = O_RDWR | O_CLOEXEC | O_NOFOLLOW;
    database_file_ = open(database_.c_str(), kFlags);
    if (database_file_ < 0 && errno == ENOENT) {
        database_file_ = open(database_.c_str(), kFlags | O_CREAT | O_EXCL, kAsSqlite);
        made_database_ = database_file_ >= 0;
    }
    if (database_file_ < 0) {
        throw UserError("cannot use the database '" + database_.string() + "': " + std::strerror(errno) +
                        "; name another one with --db FILE");
    }
    place_ = place_of(database_);
    struct stat status {};
    if (stat(directory_.c_str(), &status) == 0) {
        directory_inode_ = static_cast<std::int64_t>(status.st_ino);
    }
}

// A lock of the open file (OFD), not of the process: it reaches over NFS, and SQLite's use of the same file leaves it alone.
bool DatabaseLock::lock_database() {
    return lock(database_file_, F_OFD_SETLK, kLockedByte, 1, database_);
}

// A lock of the process, as earlier releases took it; it reaches over NFS, and ends with the process.
bool DatabaseLock::lock_file() {
    return lock(file_, F_SETLK, 0, 0, path_);
}

// The dead host's lock may be kept for ever: a new file in its place.
void DatabaseLock::replace_lock_file() {
    close(file_);
    const auto fresh = directory_ / ("lock-" + std::to_string(getpid()));
    file_ = open_lock(fresh);
    if (!lock_file() || rename(fresh.c_str(), path_.c_str()) != 0) {
        throw UserError("cannot replace '" + path_.string() + "': " + std::strerror(errno));
    }
}

void DatabaseLock::write_holder() {
    const std::string text = Json(self_).dump();
    if (ftruncate(file_, 0) != 0 ||
        pwrite(file_, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
        throw UserError("cannot write '" + path_.string() + "': " + std::strerror(errno));
    }
}

bool DatabaseLock::is_truncated() const {
    struct stat status {};
    if (fstat(database_file_, &status) != 0) {
        return false;
    }
    const auto header = read_header(database_file_);
    return !header ||
           status.st_size < static_cast<off_t>(header->pages) * static_cast<off_t>(header->page_size);
}

void DatabaseLock::verify(std::chrono::steady_clock::time_point now) {
    const std::string stopped =
        " while this coordinator used it. It stops, so that nothing more is written; results that were not "
        "stored are "
        "kept by the workers";
    struct stat status {};
    if (stat(database_.c_str(), &status) != 0) {
        if (errno != ENOENT && errno != ENOTDIR) {
            return;  // out of reach for the moment, as a file server may be
        }
        throw DatabaseGone("the database '" + database_.string() + "' was removed or moved" + stopped);
    }
    if (static_cast<std::int64_t>(status.st_ino) != place_.inode) {
        throw DatabaseGone("the database '" + database_.string() + "' was replaced by another file" +
                           stopped);
    }
    if (stat(directory_.c_str(), &status) != 0) {
        if (errno != ENOENT && errno != ENOTDIR) {
            return;
        }
        throw DatabaseGone("the directory '" + directory_.string() + "' was removed or moved" + stopped);
    }
    if (static_cast<std::int64_t>(status.st_ino) != directory_inode_) {
        throw DatabaseGone("the directory '" + directory_.string() + "' was replaced by another one" +
                           stopped);
    }
    if (!is_truncated()) {
        truncated_since_.reset();
        return;
    }
    truncated_since_ = truncated_since_.value_or(now);
    if (now - *truncated_since_ >= kTruncationGrace) {
        throw DatabaseGone("the database '" + database_.string() +
                           "' was truncated: it is shorter than its own header says," + stopped);
    }
}

void DatabaseLock::heartbeat() {
    futimens(file_, nullptr);  // that it fails is seen by the age of the last one
    struct stat own {};
    struct stat found {};
    if (fstat(file_, &own) != 0 || stat(path_.c_str(), &found) != 0) {
        return;  // the directory is out of reach for the moment, for others too
    }
    std::optional<LockHolder> holder;
    if (own.st_ino == found.st_ino) {
        holder = read_holder(file_);
    } else {
        const int current = open_lock(path_);
        holder = read_holder(current);
        close(current);
    }
    if (holder && *holder != self_) {
        throw UserError("the database '" + database_.string() + "' was taken over by " + describe(*holder));
    }
}

DatabaseLock::~DatabaseLock() {
    if (read_holder(file_) == self_) {
        // Nobody holds it any more: the next one, on whatever host, need not ask.
        [[maybe_unused]] const int ignored = ftruncate(file_, 0);
    }
    close(file_);
    close(database_file_);
}

}  // namespace orchestrate
