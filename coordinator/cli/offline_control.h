// Changes by users to a database that no coordinator has: its lock is taken for the moment.
#pragma once

#include <filesystem>
#include <string>

#include "common/protocol/messages.h"

namespace orchestrate {

// Returns what was done, once it is on disk. Throws UserError; DatabaseHeld if a coordinator begins meanwhile.
std::string control_offline(const std::filesystem::path& database, const ControlRequest& request);

}  // namespace orchestrate
