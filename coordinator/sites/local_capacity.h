// How many ranks this machine runs at a time, and on what. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/expansion/study.h"

namespace orchestrate {

struct Machine {
    int cores = 1;
    int gpus = 0;
    std::int64_t memory_mib = 0;  // 0: not known
};

struct LocalCapacity {
    std::string device = "cpu";  // or "cuda"
    int slots = 1;               // ranks at a time
    int threads_per_rank = 1;
    // One entry per rank that the GPUs have room for, spread evenly: 0, 1, 0, 1. Empty: no GPUs.
    std::vector<std::string> gpu_places;
    std::string limited_by_memory;  // a sentence for users if memory allows fewer than there would be
};

// `workers`: as the user asked on the command line; 0: as the study says. Memory counts if the study says how much a
// rank needs.
LocalCapacity local_capacity(const ClusterConfig& cluster, int workers, const Machine& machine);

}  // namespace orchestrate
