// Memory that the ranks of a worker share is files in /dev/shm, made by the MPI library. Open MPI's stay there when the ranks
// and their launcher are killed together. So each rank records which ones it has mapped, and the next worker on this host
// removes those of ranks that have ended. Linux only.
#pragma once

#include <filesystem>

namespace orchestrate {

inline constexpr const char* kSharedMemoryFolder = "/dev/shm";

// The record is a file in the same directory, named by the process (owner_mark); it is removed with this object. A process that
// is killed leaves it. Not thread-safe.
class SharedMemoryRecord {
  public:
    // Records the files of this user directly in `folder` that this process has mapped by now. What cannot be recorded is left
    // out: no error.
    explicit SharedMemoryRecord(const std::filesystem::path& folder = kSharedMemoryFolder);
    ~SharedMemoryRecord();
    SharedMemoryRecord(const SharedMemoryRecord&) = delete;
    SharedMemoryRecord& operator=(const SharedMemoryRecord&) = delete;

  private:
    std::filesystem::path file_;  // empty: there is none
};

// Removes files of this user that the record of a process names which has ended, if they are still the same (by inode) and
// no process has them mapped; then that record. No error: what cannot be removed stays.
void remove_recorded_files(const std::filesystem::path& folder = kSharedMemoryFolder);

}  // namespace orchestrate
