// One coordinator per database: a lock file in the state folder, held as long as the process lives.
#pragma once

#include <filesystem>

namespace orchestrate {

class DatabaseLock {
  public:
    // Makes the state folder (mode 0700) if need be. Throws UserError, saying who holds the database and
    // since when.
    explicit DatabaseLock(const std::filesystem::path& database);
    ~DatabaseLock();
    DatabaseLock(const DatabaseLock&) = delete;
    DatabaseLock& operator=(const DatabaseLock&) = delete;

  private:
    int file_ = -1;
};

}  // namespace orchestrate
