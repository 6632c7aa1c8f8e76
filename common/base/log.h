// Logging by spdlog: one file per program or attempt; nothing on the terminal unless asked for. No global
// logger.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include <spdlog/spdlog.h>

namespace orchestrate {

using Log = std::shared_ptr<spdlog::logger>;

// Appends to `path`, making its folder; flushed at every line, so that a killed process leaves its last
// words. Throws UserError if it cannot be written.
Log open_log(const std::string& name, const std::filesystem::path& path);

}  // namespace orchestrate
