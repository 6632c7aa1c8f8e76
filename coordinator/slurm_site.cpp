#include "coordinator/slurm_site.h"

#include <utility>

#include <fmt/format.h>
#include <unistd.h>

#include "common/error.h"
#include "common/host.h"

namespace orchestrate {

using namespace std::chrono_literals;

SlurmSites::SlurmSites(const ClusterConfig& cluster, const std::filesystem::path& state_folder,
                       const std::filesystem::path& worker_access_file, Log log,
                       std::chrono::milliseconds heartbeat_interval,
                       std::function<void(const std::string&)> note)
    : cluster_(cluster),
      state_folder_(std::filesystem::absolute(state_folder)),
      access_file_(std::filesystem::absolute(worker_access_file)),
      heartbeat_interval_(heartbeat_interval),
      log_(std::move(log)),
      note_(std::move(note)) {}

void SlurmSites::begin() {
    submit();
}

void SlurmSites::submit() {
    const bool cuda = cluster_.device == DeviceChoice::cuda;
    PilotSpec spec;
    spec.name = "pilot-" + std::to_string(getpid()) + "-" + std::to_string(++submitted_);
    spec.nodes = cluster_.nodes;
    spec.ranks_per_node = std::max(1, cluster_.slots);
    spec.threads_per_rank = std::max(1, cluster_.threads_per_rank);
    spec.gpus_per_node = cuda ? spec.ranks_per_node : 0;
    spec.memory_mib_per_rank =
        cluster_.memory_mib_per_rank > 0 ? cluster_.memory_mib_per_rank : kSlurmMemoryMib;
    spec.partition = cluster_.partition;
    spec.account = cluster_.account;
    spec.time_limit = cluster_.time_limit;
    spec.sbatch_options = cluster_.sbatch_options;
    spec.script_folder = state_folder_ / "logs";
    spec.command = {(program_folder() / "orchestrate").string(),
                    "pilot",
                    "--access",
                    access_file_.string(),
                    "--slots",
                    std::to_string(spec.nodes * spec.ranks_per_node),
                    "--threads",
                    std::to_string(spec.threads_per_rank),
                    "--device",
                    cuda ? "cuda" : "cpu",
                    "--mpi",
                    cluster_.mpi,
                    "--memory-per-rank",
                    std::to_string(spec.memory_mib_per_rank),
                    "--log-folder",
                    spec.script_folder.string(),
                    "--heartbeat",
                    fmt::format("{}", std::chrono::duration<double>(heartbeat_interval_).count())};
    if (!cluster_.interface.empty()) {
        spec.command.insert(spec.command.end(), {"--interface", cluster_.interface});
    }
    slurm_job_ = submit_pilot(spec);
    connected_ = false;
    last_detail_.clear();
    note_("submitted pilot " + spec.name + " as Slurm job " + slurm_job_ + ": " + std::to_string(spec.nodes) +
          " node(s), " + std::to_string(spec.ranks_per_node) + " rank(s) on each");
    looked_at_ = std::chrono::steady_clock::now();
}

void SlurmSites::tick(bool work_is_left) {
    const auto now = std::chrono::steady_clock::now();
    if (slurm_job_.empty() || now - looked_at_ < 3s) {
        return;
    }
    looked_at_ = now;
    const PilotStatus status = pilot_status(slurm_job_);
    if (status.detail != last_detail_) {
        last_detail_ = status.detail;
        log_->info("Slurm job {}: {}", slurm_job_, status.detail);
        if (!connected_ || status.state == PilotState::ended) {
            note_("Slurm job " + slurm_job_ + ": " + status.detail);
        }
    }
    if (status.state != PilotState::ended) {
        return;
    }
    idle_pilots_ = connected_ ? 0 : idle_pilots_ + 1;
    if (idle_pilots_ >= kMaximumIdlePilots) {
        throw UserError("pilots end without connecting; look at their output in '" +
                        (state_folder_ / "logs").string() + "'");
    }
    ended_job_ = std::exchange(slurm_job_, "");
    if (work_is_left) {
        submit();
    }
}

std::string SlurmSites::end_of(const std::string& site) const {
    for (const std::string& job : {slurm_job_, ended_job_}) {
        if (!job.empty() && site == "slurm-" + job) {
            const PilotStatus status = pilot_status(job);
            return status.state == PilotState::ended ? status.detail.substr(0, status.detail.find(' ')) : "";
        }
    }
    return {};
}

void SlurmSites::end() {
    if (!slurm_job_.empty()) {
        cancel_pilot(slurm_job_);
        slurm_job_.clear();
    }
}

}  // namespace orchestrate
