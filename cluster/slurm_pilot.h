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
    std::string
        detail;  // Slurm's state and reason, or why it is unknown; one printable line: "PENDING (Resources)"
};

// The batch script, written to script_folder/NAME.sbatch (returned). Throws UserError for an option that is not one line,
// std::runtime_error if the file cannot be written.
std::string pilot_script(const PilotSpec& spec);
std::filesystem::path write_pilot_script(const PilotSpec& spec);

// Each question or order to Slurm is a command line and what is made of its answer; who runs the command is the
// caller's affair. Whatever was not understood is `unknown` or `unavailable`, never an end.

struct Submission {
    enum class State {
        accepted,
        refused,     // by Slurm: the same request will not be accepted later
        unavailable  // Slurm did not answer, or not now; the job may exist nevertheless
    };
    State state = State::unavailable;
    std::string job;   // Slurm's job id, if accepted
    std::string text;  // otherwise: what sbatch said, one line
};

std::vector<std::string> submission_command(const std::filesystem::path& script);
Submission read_submission(const CommandResult& sbatch);

// The job ids of the pilots of a name that have not ended; for a submission without an answer. Empty optional: not known.
std::vector<std::string> find_command(const std::string& pilot_name);
std::optional<std::vector<std::string>> read_found(const CommandResult& squeue);

// The queue does not know jobs that ended a while ago (empty optional): then the controller is asked. Works without an
// accounting database.
std::vector<std::string> queue_command(const std::string& slurm_job_id);
std::optional<PilotStatus> read_queue(const CommandResult& squeue);
std::vector<std::string> controller_command(const std::string& slurm_job_id);
PilotStatus read_controller(const CommandResult& scontrol);

// Slurm sends SIGTERM to the pilot and its steps, and kills what is left after the cluster's KillWait.
std::vector<std::string> cancel_command(const std::string& slurm_job_id);
std::vector<std::string> cancel_by_name_command(const std::string& pilot_name);
// Why it could not be cancelled; empty if it was, or has ended.
std::string read_cancellation(const CommandResult& scancel);

}  // namespace orchestrate
