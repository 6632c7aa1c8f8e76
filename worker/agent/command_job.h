// Attempts of command jobs: starts the command with its configuration, follows what it reports, asks it to end, and says
// how it ended. What a command is told and has to tell is described in README.md, "Your own script".
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "common/protocol/messages.h"
#include "worker/agent/command_end.h"
#include "worker/agent/command_scratch.h"
#include "worker/training_api.h"

namespace orchestrate {

// What it finds in its environment.
inline constexpr const char* kConfigVariable = "ORCHESTRATE_CONFIG";    // the file of its configuration
inline constexpr const char* kMetricsVariable = "ORCHESTRATE_METRICS";  // the pipe it reports to
inline constexpr const char* kCheckpointsVariable =
    "ORCHESTRATE_CHECKPOINTS";  // its directory; empty: it has none
inline constexpr const char* kResumeVariable =
    "ORCHESTRATE_RESUME";  // an earlier attempt's directory; empty: none
inline constexpr const char* kSeedVariable = "ORCHESTRATE_SEED";
inline constexpr const char* kRanksVariable = "ORCHESTRATE_RANKS";  // slots that it has
inline constexpr const char* kJobVariable = "ORCHESTRATE_JOB";
inline constexpr const char* kAttemptVariable = "ORCHESTRATE_ATTEMPT";

struct CommandJobOptions {
    int threads = 1;                             // CPU threads of each slot
    DeviceKind device = DeviceKind::cpu;         // for users, in the results
    std::chrono::milliseconds stop_grace{8000};  // from SIGTERM to SIGKILL
    // Where the small files of a command are made, the best first.
    std::vector<std::filesystem::path> scratch_places = orchestrate::scratch_places();
};

// Lives as long as the worker. Not thread-safe.
class CommandJobs {
  public:
    explicit CommandJobs(const CommandJobOptions& options) : options_(options) {}

    // Runs lease.config.command to its end, and ends all that it has started. `stop`, set from another thread, ends it
    // with cause preempted, unless it succeeds before. Throws UserError for what makes the command impossible here (a
    // file that is missing or has changed, no such program), MachineTrouble for what this host lacks,
    // std::runtime_error if this host is at fault otherwise.
    AttemptOutcome run(const Lease& lease, AttemptObserver& observer, const std::atomic<bool>& stop);

  private:
    CommandJobOptions options_;
    bool has_cleaned_up_ = false;  // after workers of this host that were killed
};

}  // namespace orchestrate
