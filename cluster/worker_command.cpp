#include "cluster/worker_command.h"

#include <array>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string_view>

#include <boost/algorithm/string/join.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "cluster/command.h"
#include "common/base/error.h"

namespace orchestrate {

namespace {

void append(std::vector<std::string>& to, const std::vector<std::string>& more) {
    to.insert(to.end(), more.begin(), more.end());
}

// Variables by which a launcher tells a process its place; ours would take it for its own.
bool left_by_a_launcher(const std::string& name, bool inside_mpirun) {
    if (name == "SLURM_CONF") {
        return false;
    }
    if (name.starts_with("OMPI_MCA_")) {  // settings of a user, unless mpirun wrote them
        return inside_mpirun;
    }
    constexpr std::array<std::string_view, 8> prefixes{"SLURM_", "SLURMD_", "OMPI_",     "PMIX_",
                                                       "PMI_",   "PRTE_",   "MPI_LOCAL", "HYDI_"};
    for (const std::string_view prefix : prefixes) {
        if (name.starts_with(prefix)) {
            return true;
        }
    }
    return false;
}

// By the name of the file behind all symbolic links, so that no program is run to learn it.
std::optional<MpiFamily> family_by_file(const std::string& path) {
    std::error_code error;
    const std::string file = std::filesystem::canonical(path, error).string();
    for (const char* sign : {"openmpi", "orterun", "prterun"}) {
        if (file.find(sign) != std::string::npos) {
            return MpiFamily::open_mpi;
        }
    }
    for (const char* sign : {"mpich", "hydra"}) {
        if (file.find(sign) != std::string::npos) {
            return MpiFamily::mpich;
        }
    }
    return std::nullopt;
}

}  // namespace

Mpirun find_mpirun() {
    const char* const named = std::getenv("ORCHESTRATE_MPIRUN");
    if (named == nullptr) {
        const std::array<Mpirun, 2> by_exact_name{Mpirun{"mpirun.openmpi", MpiFamily::open_mpi},
                                                  Mpirun{"mpirun.mpich", MpiFamily::mpich}};
        for (const Mpirun& candidate : by_exact_name) {
            const std::string path = find_program(candidate.path);
            if (!path.empty()) {
                return {path, candidate.family};
            }
        }
    }
    const std::string path = find_program(named != nullptr ? named : "mpirun");
    if (path.empty()) {
        throw UserError(
            named != nullptr
                ? "ORCHESTRATE_MPIRUN names a program that is not there: " + std::string(named)
                : std::string(
                      "a worker with more than one rank is started by mpirun, and there is none in PATH: "
                      "install Open MPI (on Debian: apt-get install openmpi-bin libopenmpi3), name another "
                      "mpirun by the variable ORCHESTRATE_MPIRUN, or give workers one rank"));
    }
    if (const auto family = family_by_file(path)) {
        return {path, *family};
    }
    const std::string version = run_command({path, "--version"}, std::chrono::seconds(2)).output;
    return {path, version.find("HYDRA") != std::string::npos ? MpiFamily::mpich : MpiFamily::open_mpi};
}

std::vector<std::string> worker_arguments(const WorkerSpec& spec) {
    std::vector<std::string> arguments{
        spec.worker_program.string(),
        "--access",
        spec.access_file.string(),
        "--name",
        spec.name,
        "--ranks",
        std::to_string(spec.is_one_process ? 1 : spec.ranks),
        "--threads",
        std::to_string(spec.threads_per_rank),
        "--device",
        spec.device,
        "--log-folder",
        spec.log_folder.string(),
        "--heartbeat",
        fmt::format("{}", std::chrono::duration<double>(spec.heartbeat_interval).count())};
    if (spec.is_one_process && spec.ranks > 1) {
        append(arguments, {"--slots", std::to_string(spec.ranks)});
    }
    return arguments;
}

std::vector<std::string> mpirun_arguments(const WorkerSpec& spec, const Mpirun& mpirun) {
    std::vector<std::string> arguments{mpirun.path, "-n", std::to_string(spec.ranks)};
    if (mpirun.family == MpiFamily::open_mpi) {
        append(arguments, {"--oversubscribe", "--bind-to", "none", "--tag-output"});
    } else {
        append(arguments, {"-launcher", "fork", "-prepend-rank"});
    }
    append(arguments, worker_arguments(spec));
    return arguments;
}

std::vector<std::string> srun_arguments(const WorkerSpec& spec, const StepOptions& options,
                                        const StepPlace& place) {
    std::vector<std::string> arguments{"srun",
                                       "--jobid=" + options.slurm_job_id,
                                       "--job-name=" + spec.name,
                                       "--exact",
                                       "--nodes=" + std::to_string(place.hosts.size()),
                                       "--nodelist=" + boost::algorithm::join(place.hosts, ","),
                                       "--ntasks=" + std::to_string(spec.ranks),
                                       "--cpus-per-task=" + std::to_string(spec.threads_per_rank),
                                       "--kill-on-bad-exit=1",
                                       "--input=none"};
    if (options.memory_mib_per_rank > 0) {  // --mem counts per node
        arguments.push_back("--mem=" + std::to_string(options.memory_mib_per_rank * place.ranks_per_host) +
                            "M");
    }
    const bool needs_gpu = spec.device == "cuda";
    arguments.push_back(needs_gpu ? "--gres=gpu:" + std::to_string(place.ranks_per_host) : "--gres=none");
    if (spec.ranks > 1) {
        append(arguments, {"--mpi=" + options.mpi_type, "--label"});
    } else {
        arguments.emplace_back("--mpi=none");
    }
    append(arguments, worker_arguments(spec));
    return arguments;
}

Environment worker_environment(const WorkerSpec& spec, Environment inherited) {
    const bool inside_mpirun = inherited.contains("OMPI_COMM_WORLD_SIZE");
    std::erase_if(inherited,
                  [&](const auto& variable) { return left_by_a_launcher(variable.first, inside_mpirun); });
    const std::string threads = std::to_string(spec.threads_per_rank);
    inherited["OMP_NUM_THREADS"] = threads;
    inherited["MKL_NUM_THREADS"] = threads;
    // A thread that waits for work otherwise spins for long, and takes the core from the thread that it waits for where
    // machines are shared; one that sleeps at once wakes too late. So it spins for some ten microseconds, then sleeps.
    // What the user has said stands.
    if (!inherited.contains("OMP_WAIT_POLICY") && !inherited.contains("GOMP_SPINCOUNT")) {
        inherited["OMP_WAIT_POLICY"] = "passive";
        inherited["GOMP_SPINCOUNT"] = "5000";
    }
    if (!spec.cuda_devices.empty()) {
        inherited["CUDA_VISIBLE_DEVICES"] = boost::algorithm::join(spec.cuda_devices, ",");
    }
    if (spec.ranks > 1 && !spec.interface.empty()) {
        for (const char* variable :
             {"ORCHESTRATE_INTERFACE", "NCCL_SOCKET_IFNAME", "OMPI_MCA_btl_tcp_if_include",
              "OMPI_MCA_oob_tcp_if_include", "HYDRA_IFACE", "FI_TCP_IFACE"}) {
            inherited.emplace(variable, spec.interface);
        }
    }
    if (spec.ranks > 1 && ::geteuid() == 0) {  // containers run everything as root
        inherited["OMPI_ALLOW_RUN_AS_ROOT"] = "1";
        inherited["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1";
    }
    return inherited;
}

}  // namespace orchestrate
