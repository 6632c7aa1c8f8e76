// One coordinator per database, on whatever host: a lock file in the state folder that says who holds it (JSON: host,
// process, since when) and whose time of change is the holder's heartbeat. On one host the kernel says whether the
// holder lives. A holder on another host that has not ended in order is only replaced when a person says so.
// Not thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include <boost/describe.hpp>

#include "common/error.h"

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

class DatabaseLock {
  public:
    // A holder whose heartbeat is younger may live.
    static constexpr int kHeartbeatLimitSeconds = 60;

    // Makes the state folder (mode 0700) if need be. Throws DatabaseHeld, saying who holds the database, since when and
    // when it was last heard of. `take_over` replaces a holder on another host that has been silent for
    // kHeartbeatLimitSeconds, never one that lives.
    explicit DatabaseLock(const std::filesystem::path& database, bool take_over = false);
    ~DatabaseLock();
    DatabaseLock(const DatabaseLock&) = delete;
    DatabaseLock& operator=(const DatabaseLock&) = delete;

    // To be called every few seconds, well within the limit. Throws UserError if the database was taken over: then
    // nothing more may be written to it.
    void heartbeat();

  private:
    bool lock_file();
    void write_holder();

    std::filesystem::path database_;
    std::filesystem::path path_;
    LockHolder self_;
    int file_ = -1;
};

}  // namespace orchestrate
