// The command line and the environment of a worker, for each way to start one. Pure functions of what they
// get.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cluster/child_process.h"
#include "cluster/launcher.h"

namespace orchestrate {

enum class MpiFamily { open_mpi, mpich };

// The program that starts MPI jobs on this machine.
struct Mpirun {
    std::string path;
    MpiFamily family = MpiFamily::open_mpi;
};

// The one that ORCHESTRATE_MPIRUN names, else Open MPI's, else MPICH's. Throws UserError that says what to do
// if there is none.
Mpirun find_mpirun();

// WORKER_PROGRAM --access FILE --name NAME --ranks R --threads T --device D --log-folder DIR --heartbeat SECONDS
std::vector<std::string> worker_arguments(const WorkerSpec& spec);

// mpirun ... worker_arguments.
std::vector<std::string> mpirun_arguments(const WorkerSpec& spec, const Mpirun& mpirun);

// Where a step runs.
struct StepPlace {
    std::vector<std::string> hosts;
    int ranks_per_host = 1;  // the most ranks on one of them
};

struct StepOptions {
    std::string slurm_job_id;
    std::string mpi_type;                  // srun's --mpi for more than one rank
    std::int64_t memory_mib_per_rank = 0;  // 0: no --mem
};

// srun ... worker_arguments.
std::vector<std::string> srun_arguments(const WorkerSpec& spec, const StepOptions& options,
                                        const StepPlace& place);

// `inherited` without what an enclosing mpirun or srun left in it, with thread counts, visible devices and, unless
// it says so itself, how OpenMP's threads wait and the network interface for MPI and NCCL.
Environment worker_environment(const WorkerSpec& spec, Environment inherited);

}  // namespace orchestrate
