#include "cluster/process_launcher.h"

#include <algorithm>
#include <stdexcept>

namespace orchestrate {

void ProcessLauncher::start(const WorkerSpec& spec) {
    if (workers_.contains(spec.name)) {
        throw std::runtime_error("a worker named " + spec.name + " is running already");
    }
    if (spec.ranks < 1 || spec.threads_per_rank < 1) {
        throw std::runtime_error("worker " + spec.name + " must have at least one rank and one thread");
    }
    std::filesystem::create_directories(spec.log_folder);
    try {
        workers_.emplace(spec.name, Worker{ChildProcess::start(command_for(spec)), std::nullopt});
    } catch (...) {
        forget(spec.name);
        throw;
    }
}

void ProcessLauncher::stop(const std::string& name, std::chrono::milliseconds grace) {
    const auto found = workers_.find(name);
    if (found == workers_.end()) {
        return;
    }
    Worker& worker = found->second;
    const Time kill_at = std::chrono::steady_clock::now() + grace;
    worker.kill_at = worker.kill_at ? std::min(*worker.kill_at, kill_at) : kill_at;
    ask_to_end(name, worker.process);
}

std::vector<WorkerExit> ProcessLauncher::poll() {
    std::vector<WorkerExit> exits;
    for (auto entry = workers_.begin(); entry != workers_.end();) {
        auto& [name, worker] = *entry;
        if (const std::optional<ExitStatus> status = worker.process.poll()) {
            exits.push_back(exit_of_worker(name, *status));
            forget(name);
            entry = workers_.erase(entry);
            continue;
        }
        watch(name, worker.process);
        if (worker.kill_at) {
            if (std::chrono::steady_clock::now() >= *worker.kill_at) {
                kill(name, worker.process);
            } else {
                ask_to_end(name, worker.process);
            }
        }
        ++entry;
    }
    return exits;
}

std::vector<std::string> ProcessLauncher::running() const {
    std::vector<std::string> names;
    for (const auto& [name, worker] : workers_) {
        names.push_back(name);
    }
    return names;
}

}  // namespace orchestrate
