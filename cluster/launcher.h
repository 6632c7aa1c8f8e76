// How workers are started and stopped: as local processes, under mpirun, or by srun inside a Slurm allocation
// (a pilot). A launcher only starts and stops; what a worker does is between it and the coordinator.
// Errors: std::runtime_error if a worker cannot be started. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace orchestrate {

struct WorkerSpec {
    std::string name;  // unique among the workers of a launcher
    int ranks = 1;
    int threads_per_rank = 1;
    std::string device = "cpu";  // "cpu" or "cuda"
    std::string interface;  // network interface of the traffic among its ranks; empty: as MPI and NCCL choose
    std::chrono::milliseconds heartbeat_interval{4000};  // between signs of life among its ranks
    std::filesystem::path access_file;                   // how to reach the coordinator
    std::filesystem::path log_folder;  // the worker writes NAME.log there; its standard output goes beside it
    std::filesystem::path worker_program;
    bool is_one_process = false;            // without MPI: it runs commands of that width
    std::vector<std::string> cuda_devices;  // CUDA_VISIBLE_DEVICES of the worker; empty: leave as it is
};

struct WorkerExit {
    std::string name;
    int exit_code = 0;  // of the process or its launcher; 0 if killed by a signal
    int signal = 0;     // that ended it; 0: none
    std::string step_state =
        {};  // Slurm's word if Slurm ended it, unasked by this launcher: "CANCELLED", "TIMEOUT"
};

class Launcher {
  public:
    virtual ~Launcher() = default;

    // Starts the processes of one worker and returns at once.
    virtual void start(const WorkerSpec& spec) = 0;

    // Asks a worker to end (SIGTERM to all its processes) and kills it after `grace`. Returns at once.
    virtual void stop(const std::string& name, std::chrono::milliseconds grace) = 0;

    // Workers that ended since the last call; never blocks. Also enforces the grace of stop().
    virtual std::vector<WorkerExit> poll() = 0;

    // Names of the workers started and not yet ended.
    virtual std::vector<std::string> running() const = 0;
};

// Workers on this machine: a process for one rank, mpirun for more. Children die with this process only if
// `die_with_parent` (a worker that outlives its coordinator waits for the next one until its own limit): then
// they get SIGTERM when the thread that called start() ends, so start them from a thread that lives as long
// as the program.
std::unique_ptr<Launcher> make_local_launcher(bool die_with_parent);

// Workers as steps of the Slurm allocation this process runs in (SLURM_JOB_ID): srun --exact. `mpi_type` is
// srun's
// --mpi, used for more than one rank. A worker is put on as few nodes as have room for its ranks, by the
// pilot's ranks per node; they end with the thread that called start(). Which GPUs a worker sees is Slurm's
// choice (cuda_devices is ignored). Throws UserError outside an allocation.
std::unique_ptr<Launcher> make_srun_launcher(const std::string& mpi_type, std::int64_t memory_mib_per_rank);

// What srun's --mpi must be for the MPI library that is here: "pmix" for Open MPI where this Slurm has it,
// else "pmi2".
std::string default_srun_mpi_type();

}  // namespace orchestrate
