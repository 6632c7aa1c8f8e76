// What this host lacks at the moment, for messages and for the cause of an attempt's end.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace orchestrate {

// Processes that the kernel has killed for lack of memory since the host was started; 0: it does not say.
std::int64_t processes_killed_for_memory();

// Those of the file systems of these paths that have no room or no inodes left, in words: "/dev/shm is full". Paths that
// are not there are passed over.
std::string full_file_systems(const std::vector<std::filesystem::path>& paths);

}  // namespace orchestrate
