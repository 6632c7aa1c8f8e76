#include "coordinator/sites/sites.h"

#include <algorithm>

#include "common/base/host.h"
#include "common/protocol/message_checks.h"

namespace orchestrate {

namespace {

constexpr std::size_t kMaxExitsAtOnce =
    std::size_t{2} * kMaxRanks;  // of a pilot's workers: all, and those started in their place

}  // namespace

LauncherSite::LauncherSite(std::unique_ptr<Launcher> launcher, SiteOptions options)
    : launcher_(std::move(launcher)),
      options_(std::move(options)),
      free_gpu_places_(options_.gpu_places.begin(), options_.gpu_places.end()) {}

void LauncherSite::start(const std::string& worker, const WorkerShape& shape) {
    WorkerSpec spec;
    spec.name = worker;
    spec.ranks = shape.ranks;
    spec.threads_per_rank = options_.threads_per_rank;
    spec.device = options_.device;
    spec.access_file = options_.access_file;
    spec.log_folder = options_.log_folder;
    spec.heartbeat_interval = options_.heartbeat_interval;
    spec.interface = options_.interface;
    spec.is_one_process = shape.is_one_process;
    spec.worker_program = program_folder() / "orchestrate-worker";
    for (int i = 0; i < shape.ranks && !free_gpu_places_.empty(); ++i) {
        // NCCL takes no two ranks on one GPU.
        auto place =
            std::find_if(free_gpu_places_.begin(), free_gpu_places_.end(), [&](const std::string& gpu) {
                return std::find(spec.cuda_devices.begin(), spec.cuda_devices.end(), gpu) ==
                       spec.cuda_devices.end();
            });
        place = place == free_gpu_places_.end() ? free_gpu_places_.begin() : place;
        spec.cuda_devices.push_back(*place);
        free_gpu_places_.erase(place);
    }
    cuda_devices_[worker] = spec.cuda_devices;
    try {
        launcher_->start(spec);
    } catch (const std::exception& error) {
        failed_starts_.push_back({worker, 0, 0, error.what()});
    }
}

void LauncherSite::stop(const std::string& worker, std::chrono::milliseconds grace) {
    launcher_->stop(worker, grace);
}

std::vector<SiteWorkerExit> LauncherSite::take_exits() {
    std::vector<SiteWorkerExit> exits = std::move(failed_starts_);
    failed_starts_.clear();
    for (const auto& exit : launcher_->poll()) {
        exits.push_back({exit.name, exit.exit_code, exit.signal, "", exit.step_state});
    }
    for (const auto& exit : exits) {
        if (const auto devices = cuda_devices_.find(exit.worker); devices != cuda_devices_.end()) {
            free_gpu_places_.insert(free_gpu_places_.end(), devices->second.begin(), devices->second.end());
            cuda_devices_.erase(devices);
        }
    }
    return exits;
}

// Its workers are steps of as many tasks as they have ranks, whose first one runs commands.
void PilotSite::start(const std::string& worker, const WorkerShape& shape) {
    channel_.send(StartWorker{worker, shape.ranks});
}

void PilotSite::stop(const std::string& worker, std::chrono::milliseconds grace) {
    channel_.send(StopWorker{worker, grace.count()});
}

std::vector<SiteWorkerExit> PilotSite::take_exits() {
    return std::exchange(exits_, {});
}

void PilotSite::on_exit(const WorkerExited& message) {
    if (exits_.size() >= kMaxExitsAtOnce) {
        throw ProtocolError("it tells of the ends of more than " + std::to_string(kMaxExitsAtOnce) +
                            " workers at once");
    }
    exits_.push_back({message.name, message.exit_code, message.signal,
                      cleaned(message.error, kMaxLineBytes, Lines::one), message.step_state});
}

int visible_gpus() {
    std::error_code error;
    int count = 0;
    for (std::filesystem::directory_iterator entry("/proc/driver/nvidia/gpus", error), end;
         !error && entry != end; entry.increment(error)) {
        ++count;
    }
    return count;
}

}  // namespace orchestrate
