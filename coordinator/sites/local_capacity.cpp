#include "coordinator/sites/local_capacity.h"

#include <algorithm>

#include <fmt/format.h>

namespace orchestrate {

LocalCapacity local_capacity(const ClusterConfig& cluster, int workers, const Machine& machine) {
    LocalCapacity capacity;
    const bool cuda = cluster.device == DeviceChoice::cuda ||
                      (cluster.device == DeviceChoice::automatic && machine.gpus > 0);
    const int gpus = std::max(1, machine.gpus);
    const int natural = cuda ? gpus * cluster.jobs_per_gpu : machine.cores;
    capacity.device = cuda ? "cuda" : "cpu";
    capacity.slots = workers > 0 ? workers : cluster.slots > 0 ? cluster.slots : natural;
    if (cluster.memory_mib_per_rank > 0 && machine.memory_mib > 0) {
        const auto fit = static_cast<int>(
            std::clamp<std::int64_t>(machine.memory_mib / cluster.memory_mib_per_rank, 1, capacity.slots));
        if (fit < capacity.slots) {
            capacity.limited_by_memory = fmt::format(
                "{} of {} ranks at a time: cluster.memory_mib_per_rank is {}, this machine has {} MiB", fit,
                capacity.slots, cluster.memory_mib_per_rank, machine.memory_mib);
            capacity.slots = fit;
        }
    }
    capacity.threads_per_rank =
        cluster.threads_per_rank > 0 ? cluster.threads_per_rank : std::max(1, machine.cores / capacity.slots);
    for (int place = 0; cuda && place < std::max(capacity.slots, gpus); ++place) {
        capacity.gpu_places.push_back(std::to_string(place % gpus));
    }
    return capacity;
}

}  // namespace orchestrate
