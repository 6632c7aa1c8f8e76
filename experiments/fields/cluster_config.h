// [cluster]: where workers run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <boost/describe.hpp>

namespace orchestrate {

enum class ClusterKind { local, slurm };
BOOST_DESCRIBE_ENUM(ClusterKind, local, slurm)

enum class DeviceChoice { automatic, cpu, cuda };
BOOST_DESCRIBE_ENUM(DeviceChoice, automatic, cpu, cuda)

// What a rank gets on Slurm if the study does not say it.
inline constexpr std::int64_t kSlurmMemoryMib = 2048;

// [cluster]: where workers run. No part of any job's identity.
struct ClusterConfig {
    ClusterKind kind = ClusterKind::local;
    DeviceChoice device = DeviceChoice::automatic;
    int slots = 0;             // ranks that run at a time, per node; 0: one per CPU core or GPU
    int threads_per_rank = 0;  // 0: cores divided by slots
    int jobs_per_gpu = 1;      // one-rank workers that share a GPU
    int nodes = 1;             // slurm: nodes of one pilot
    std::string partition;     // slurm; empty: the cluster's default
    std::string account;
    std::string time_limit = "01:00:00";      // slurm, of one pilot
    std::int64_t memory_mib_per_rank = 0;     // 0: not said; on Slurm kSlurmMemoryMib
    std::string shared_folder;                // slurm: a folder all nodes see; default: beside the database
    std::vector<std::string> sbatch_options;  // passed on as they are
    std::string interface;          // of the traffic among the ranks of a worker, which nobody authenticates
    std::string mpi = "automatic";  // value of srun --mpi; automatic: pmix, or pmi2 for MPICH
};

}  // namespace orchestrate
