// Pilots: Slurm allocations that hold workers. A pilot is submitted by sbatch; inside it `orchestrate pilot`
// runs, connects to the coordinator and starts workers as steps when asked.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cluster/command.h"

namespace orchestrate {

struct PilotSpec {
    std::string name;
    int nodes = 1;
    int ranks_per_node = 1;
    int threads_per_rank = 1;
    int gpus_per_node = 0;
    std::int64_t memory_mib_per_rank = 2048;
    std::string partition;  // empty: the cluster's default
    std::string account;
    std::string time_limit;  // as sbatch wants it: "2:00:00"; the pilot gets SIGTERM a minute earlier
    std::vector<std::string> sbatch_options;
    // argv run in the batch script, on the first node, in script_folder, with the environment of who
    // submitted it.
    std::vector<std::string> command;
    std::filesystem::path script_folder;  // the script and its output are written here; all nodes see it
};

enum class PilotState { pending, running, ended, unknown };

struct PilotStatus {
    PilotState state = PilotState::unknown;
    std::string detail;  // Slurm's state and reason, for people: "PENDING (Resources)"
};

// Submits with sbatch and returns the Slurm job id. Throws UserError with sbatch's message and what to check
// if it is refused or sbatch is not found.
std::string submit_pilot(const PilotSpec& spec);

// By squeue (and scontrol, where squeue knows it no more); works without an accounting database.
PilotStatus pilot_status(const std::string& slurm_job_id);

// scancel; harmless if it has ended. Slurm sends SIGTERM to the pilot and its steps, and kills what is left
// after the cluster's KillWait.
void cancel_pilot(const std::string& slurm_job_id);

// The same with another way to run Slurm's commands.
std::string submit_pilot(const PilotSpec& spec, const CommandRunner& run);
PilotStatus pilot_status(const std::string& slurm_job_id, const CommandRunner& run);
void cancel_pilot(const std::string& slurm_job_id, const CommandRunner& run);

// The batch script that submit_pilot writes to script_folder/NAME.sbatch.
std::string pilot_script(const PilotSpec& spec);

}  // namespace orchestrate
