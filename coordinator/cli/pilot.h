// `orchestrate pilot`: runs inside a Slurm allocation and starts workers as steps when the coordinator asks.
// It reconnects after a broken connection, and ends, with its workers, when no coordinator comes back.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

namespace orchestrate {

struct PilotOptions {
    std::string name;
    std::string program_version;
    int slots = 1;  // ranks at a time, over all nodes
    int threads_per_rank = 1;
    std::string device = "cpu";
    std::string mpi_type = "automatic";
    std::int64_t memory_mib_per_rank = 2048;
    std::filesystem::path access_file;
    std::filesystem::path log_folder;
    double heartbeat_seconds = 4;
    std::string interface;
    std::chrono::milliseconds orphan_limit{120'000};
};

// Returns the exit code: 0 after a signal (scancel, the end of the allocation), 1 without a coordinator.
int run_pilot(const PilotOptions& options);

}  // namespace orchestrate
