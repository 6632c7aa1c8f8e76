// The agent of a worker: keeps the connection to the coordinator (reconnecting with backoff when it breaks),
// takes leases, runs them, and keeps results until they are acknowledged.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include "worker/agent/job_runner.h"

namespace orchestrate {

struct AgentOptions {
    std::filesystem::path access_file;
    std::string name;
    std::string program_version;
    std::filesystem::path log_folder;
    // Of checkpoints and models on their way, where the coordinator's folders are not seen.
    std::filesystem::path scratch_folder = std::filesystem::temp_directory_path();
    std::chrono::milliseconds orphan_limit{120'000};  // ends after so long without a coordinator
    int slots =
        1;  // it tells the coordinator, if its ranks are fewer: one process that runs commands of that width
    JobRunnerOptions runner;
};

// Serves as rank 0 of a worker until it is retired (0), terminated by a signal (0), orphaned or refused (1),
// or its ranks cannot go on (common/base/worker_exit.h).
int run_agent(const AgentOptions& options, std::unique_ptr<Collective> collective);

}  // namespace orchestrate
