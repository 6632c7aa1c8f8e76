// `orchestrate pilot`, which a coordinator starts inside a Slurm allocation.
#include <cstdlib>

#include <CLI/CLI.hpp>

#include "common/base/number_check.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/command_options.h"
#include "coordinator/cli/pilot.h"

namespace orchestrate {
namespace {

struct Options {
    PilotOptions pilot;
    std::string access_file;
    std::string log_folder;
};

int run(const Options& options, const std::string& program_version) {
    PilotOptions pilot = options.pilot;
    if (pilot.name.empty()) {
        const char* slurm_job = std::getenv("SLURM_JOB_ID");
        pilot.name = "slurm-" + std::string(slurm_job != nullptr ? slurm_job : "0");
    }
    pilot.access_file = options.access_file;
    pilot.log_folder = options.log_folder;
    pilot.program_version = program_version;
    return run_pilot(pilot);
}

}  // namespace

void add_pilot_command(CommandLine& line) {
    const auto options = std::make_shared<Options>();
    CLI::App& command =
        line.add("pilot", "Serve inside a Slurm allocation (started by `run`)",
                 [options, version = line.program_version()] { return run(*options, version); });
    command.group("");
    PilotOptions& pilot = options->pilot;
    command.add_option("--access", options->access_file)->required();
    command.add_option("--name", pilot.name);
    command.add_option("--slots", pilot.slots);
    command.add_option("--threads", pilot.threads_per_rank);
    command.add_option("--device", pilot.device);
    command.add_option("--mpi", pilot.mpi_type);
    command.add_option("--memory-per-rank", pilot.memory_mib_per_rank);
    command.add_option("--log-folder", options->log_folder)->required();
    command.add_option("--heartbeat", pilot.heartbeat_seconds)->check(heartbeat_seconds());
    command.add_option("--interface", pilot.interface);
}

}  // namespace orchestrate
