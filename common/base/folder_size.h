// How much a folder takes on the disk.
#pragma once

#include <cstdint>
#include <filesystem>

namespace orchestrate {

// Bytes of all regular files below it; 0 if it is not there. What cannot be read does not count.
std::int64_t bytes_in(const std::filesystem::path& folder);

}  // namespace orchestrate
