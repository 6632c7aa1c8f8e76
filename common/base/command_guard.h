// The name of the process between a worker and its command (worker/agent/command_supervisor.h). Whoever kills a worker lets
// it live: once the worker is gone it kills the command and all it has started, removes its scratch files, and ends.
#pragma once

namespace orchestrate {

inline constexpr const char* kCommandGuardName = "command-guard";

}  // namespace orchestrate
