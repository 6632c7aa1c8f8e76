// One coordinator per database, on whatever host and by whatever name. Two locks are held: one of the database file itself
// (a byte far beyond its end, which SQLite does not use), so that two names of a file are one database, and one of a file in
// DATABASE.d that says who holds it (JSON: host, process, since when) and whose time of change is the holder's heartbeat.
// On one host the kernel says whether the holder lives. A holder on another host that has not ended in order is only
// replaced when the user asks for it. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include <boost/describe.hpp>

#include "common/base/error.h"
#include "common/protocol/database_place.h"

namespace orchestrate {

// What stands in the lock file.
struct LockHolder {
    std::string host;
    std::int64_t process_id = 0;
    std::string since;  // UTC
    bool operator==(const LockHolder&) const = default;
};
BOOST_DESCRIBE_STRUCT(LockHolder, (), (host, process_id, since))

// Another coordinator has the database.
class DatabaseHeld : public UserError {
  public:
    using UserError::UserError;
};

// The name of the database, or of its directory, no longer means what was opened: nothing more may be written.
class DatabaseGone : public UserError {
  public:
    using UserError::UserError;
};

class DatabaseLock {
  public:
    // A holder whose heartbeat is younger may live.
    static constexpr int kHeartbeatLimitSeconds = 60;

    // Makes the file and the state directory (mode 0700) if need be; see prepare_state_directory() for those that are
    // refused. Must be taken before the process opens the database, and live longer than what it opened: closing any file
    // of it would end SQLite's locks. Throws DatabaseHeld, saying who holds the database, since when and when it was last
    // heard of. `take_over` replaces a holder on another host that has been silent for kHeartbeatLimitSeconds, never one
    // that lives.
    explicit DatabaseLock(const std::filesystem::path& database, bool take_over = false);
    ~DatabaseLock();

    // Whether a process of this host has it now. Makes nothing.
    static bool is_held(const std::filesystem::path& database);
    DatabaseLock(const DatabaseLock&) = delete;
    DatabaseLock& operator=(const DatabaseLock&) = delete;

    // Of the file that is locked.
    const DatabasePlace& place() const { return place_; }
    const LockHolder& holder() const { return self_; }

    // Throws DatabaseGone if the file or its directory was removed, moved or replaced since, or if the file has been
    // shorter than it says itself for kTruncationGrace. Costs two calls of stat and a short read.
    void verify(std::chrono::steady_clock::time_point now);

    // While another process writes the newest transactions into the file, its length may be behind for a moment.
    static constexpr std::chrono::milliseconds kTruncationGrace{1000};

    // To be called every few seconds, well within the limit. Throws UserError if the database was taken over: then
    // nothing more may be written to it.
    void heartbeat();

  private:
    void open_database();
    // False if another process has it.
    bool lock_database();
    bool lock_file();
    void replace_lock_file();
    void write_holder();
    bool is_truncated() const;

    std::filesystem::path database_;  // resolved
    std::filesystem::path directory_;
    std::filesystem::path path_;  // of the lock file
    LockHolder self_;
    DatabasePlace place_;
    std::int64_t directory_inode_ = 0;
    std::optional<std::chrono::steady_clock::time_point> truncated_since_;
    bool made_database_ = false;  // it was not there before
    int database_file_ = -1;
    int file_ = -1;
};

}  // namespace orchestrate
