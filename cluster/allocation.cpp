#include "cluster/allocation.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <sstream>

#include "common/base/error.h"

namespace orchestrate {

Allocation::Allocation(std::string slurm_job_id, std::vector<std::string> hosts, int ranks_per_host)
    : slurm_job_id_(std::move(slurm_job_id)), ranks_per_host_(std::max(1, ranks_per_host)) {
    for (std::string& host : hosts) {
        hosts_.push_back({std::move(host), 0});
    }
}

Allocation Allocation::from_environment(const Environment& environment, const CommandRunner& run) {
    const auto job = environment.find("SLURM_JOB_ID");
    const auto nodes = environment.find("SLURM_JOB_NODELIST");
    if (job == environment.end() || nodes == environment.end()) {
        throw UserError(
            "workers can be started by srun only inside a Slurm allocation, and SLURM_JOB_ID or "
            "SLURM_JOB_NODELIST is "
            "not set: run this by sbatch or salloc, as a pilot does");
    }
    const CommandResult result = run({"scontrol", "show", "hostnames", nodes->second});
    if (!result.found || result.exit_code != 0) {
        throw UserError("cannot list the nodes of Slurm job " + job->second + ": " +
                        (result.found ? "scontrol show hostnames said: " + result.errors
                                      : std::string("there is no scontrol in PATH")));
    }
    std::vector<std::string> hosts;
    std::istringstream lines(result.output);
    for (std::string host; lines >> host;) {
        hosts.push_back(host);
    }
    if (hosts.empty()) {
        throw UserError("Slurm job " + job->second + " has no nodes: SLURM_JOB_NODELIST is '" +
                        nodes->second + "'");
    }
    int ranks_per_host = 1;
    if (const auto tasks = environment.find("SLURM_NTASKS_PER_NODE"); tasks != environment.end()) {
        std::from_chars(tasks->second.data(), tasks->second.data() + tasks->second.size(), ranks_per_host);
    }
    return {job->second, std::move(hosts), ranks_per_host};
}

StepPlace Allocation::take(const std::string& worker, int ranks) {
    std::vector<std::size_t> order(hosts_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t left, std::size_t right) {
        return hosts_[left].ranks < hosts_[right].ranks;
    });

    std::vector<Share> shares;
    int left = ranks;
    for (const std::size_t host : order) {
        const int here = std::min(left, ranks_per_host_ - hosts_[host].ranks);
        if (here > 0) {
            shares.push_back({host, here});
            left -= here;
        }
    }
    if (left > 0) {  // more than planned: Slurm decides whether and when they fit
        shares.clear();
        const int hosts = std::min(ranks, static_cast<int>(hosts_.size()));
        for (int index = 0; index < hosts; ++index) {
            const int here = ranks / hosts + (index < ranks % hosts ? 1 : 0);
            shares.push_back({order[static_cast<std::size_t>(index)], here});
        }
    }
    StepPlace place;
    for (const Share& share : shares) {
        hosts_[share.host].ranks += share.ranks;
        place.hosts.push_back(hosts_[share.host].name);
        place.ranks_per_host = std::max(place.ranks_per_host, share.ranks);
    }
    taken_[worker] = std::move(shares);
    return place;
}

void Allocation::give_back(const std::string& worker) {
    const auto found = taken_.find(worker);
    if (found == taken_.end()) {
        return;
    }
    for (const Share& share : found->second) {
        hosts_[share.host].ranks -= share.ranks;
    }
    taken_.erase(found);
}

}  // namespace orchestrate
