// orchestrate-worker: serves a coordinator. Starts without LibTorch and MPI in memory.
#include <csignal>
#include <fstream>
#include <iostream>
#include <optional>

#include <CLI/CLI.hpp>

#include "common/base/error.h"
#include "common/base/help_formatter.h"
#include "common/base/host.h"
#include "common/base/number_check.h"
#include "common/base/process_signals.h"
#include "common/base/worker_exit.h"
#include "worker/agent/agent.h"
#include "worker/agent/plugins.h"
#include "worker/agent/shared_memory_record.h"
#include "worker/single_rank.h"

namespace {

using namespace orchestrate;

struct ServeOptions {
    std::string access_file;
    std::string name = host_name() + "-" + std::to_string(getpid());
    int ranks = 1;
    int slots = 1;
    int threads = 1;
    std::string device = "cpu";
    std::string log_folder = ".";
    std::string scratch_folder = std::filesystem::temp_directory_path();
    double orphan_limit_seconds = 120;
    double heartbeat_seconds = 4;
    std::string trace_folder;
};

int serve(const ServeOptions& given) {
    AgentOptions options;
    options.access_file = given.access_file;
    options.name = given.name;
    options.program_version = ORCHESTRATE_VERSION;
    options.log_folder = std::filesystem::absolute(given.log_folder);
    options.scratch_folder = std::filesystem::absolute(given.scratch_folder);
    options.orphan_limit =
        std::chrono::milliseconds(static_cast<std::int64_t>(1000 * given.orphan_limit_seconds));
    options.runner.device = *enum_from_name<DeviceKind>(given.device);
    options.runner.threads = given.threads;
    options.slots = given.slots;
    options.runner.library_folder = default_library_folder();
    if (!given.trace_folder.empty()) {
        options.runner.trace_folder = std::filesystem::absolute(given.trace_folder);
    }
    CollectiveOptions ranks;
    ranks.heartbeat_interval =
        std::chrono::milliseconds(static_cast<std::int64_t>(1000 * given.heartbeat_seconds));
    remove_recorded_files();
    std::optional<SharedMemoryRecord> memory;  // kept until MPI has ended
    std::unique_ptr<Collective> collective = given.ranks > 1
                                                 ? open_mpi_collective(options.runner.library_folder, ranks)
                                                 : std::make_unique<SingleRank>();
    if (given.ranks > 1) {
        memory.emplace();
    }
    if (collective->size() != given.ranks) {
        throw UserError("started as a worker of " + std::to_string(given.ranks) + " ranks, but MPI has " +
                        std::to_string(collective->size()));
    }
    const bool leads = collective->rank() == 0;
    const std::string log_name =
        leads ? given.name : given.name + "-rank-" + std::to_string(collective->rank());
    options.runner.log = open_log(given.name, options.log_folder / (log_name + ".log"));
    options.runner.log->info(
        "orchestrate-worker {} on {}, process {}, rank {} of {}, {} thread(s), device {}",
        ORCHESTRATE_VERSION, host_name(), getpid(), collective->rank(), collective->size(), given.threads,
        given.device);
    if (leads) {
        const int exit_code = run_agent(options, std::move(collective));
        options.runner.log->info("ends with exit code {}", exit_code);
        return exit_code;
    }
    // Rank 0 decides when to end; a signal sent to all ranks must not break it off in the middle of a step.
    ignore_harmless_signals({SIGTERM, SIGINT, SIGHUP, SIGUSR1});
    try {
        follow_rank_0(options.runner, *collective);
    } catch (const std::exception& error) {
        options.runner.log->error("rank {} ends: {}", collective->rank(), error.what());
        options.runner.log->flush();
        _exit(dynamic_cast<const PeerLost*>(&error) != nullptr ? kExitRankLost : kExitOutOfStep);
    }
    return 0;
}

int write_texts(const std::string& config_file, const std::string& data, const std::string& vocabulary,
                const std::string& destination) {
    std::ifstream file(config_file);
    if (!file) {
        throw UserError("cannot read '" + config_file + "'");
    }
    const auto config = Json::parse(file).get<JobConfig>();
    const auto engine = open_training_engine(default_library_folder(), DeviceKind::cpu);
    engine->write_texts(config, JobPaths{data, vocabulary, ""}, destination);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app(
        "Trains the jobs of an orchestrate study. Usually started by `orchestrate run` or inside a Slurm "
        "allocation; "
        "start one by hand to lend another machine to a running study:\n\n"
        "    orchestrate-worker --access results.db.d/worker-access.json --threads 4",
        "orchestrate-worker");
    app.formatter(std::make_shared<orchestrate::HelpFormatter>());
    app.set_version_flag("--version", "orchestrate-worker " ORCHESTRATE_VERSION);
    ServeOptions options;
    app.add_option("--access", options.access_file, "Access file for workers: DATABASE.d/worker-access.json");
    app.add_option("--name", options.name, "Name shown in status and logs")->capture_default_str();
    app.add_option("--ranks", options.ranks,
                   "Processes of this worker; more than one need mpirun or srun --mpi")
        ->check(CLI::Range(1, 65536))
        ->capture_default_str();
    app.add_option("--slots", options.slots,
                   "Width of the commands that it runs; one process, without MPI. Trains nothing if above 1")
        ->check(CLI::Range(1, 65536))
        ->capture_default_str();
    app.add_option("--threads", options.threads, "CPU threads of each rank")
        ->check(CLI::Range(1, 1024))
        ->capture_default_str();
    app.add_option("--device", options.device, "cpu or cuda")
        ->check(CLI::IsMember({"cpu", "cuda"}))
        ->capture_default_str();
    app.add_option("--log-folder", options.log_folder, "Where logs are written")->capture_default_str();
    app.add_option("--scratch", options.scratch_folder,
                   "Local folder for checkpoints on their way, where the coordinator's folders are not seen")
        ->capture_default_str();
    app.add_option("--orphan-limit", options.orphan_limit_seconds,
                   "End after so many seconds without a coordinator")
        ->check(seconds_or_none())
        ->capture_default_str();
    app.add_option("--heartbeat", options.heartbeat_seconds,
                   "Seconds between signs of life among its ranks; three missed: a rank is lost")
        ->check(heartbeat_seconds())
        ->capture_default_str();
    app.add_option("--trace", options.trace_folder,
                   "Write where the time of each attempt's first steps goes into this folder (Chrome traces)")
        ->envname("ORCHESTRATE_TRACE");

    auto* texts =
        app.add_subcommand("texts", "Write what a job's model reads: line, part, label and text, as CSV");
    std::string config_file;
    std::string data;
    std::string vocabulary;
    std::string destination;
    texts->add_option("--config", config_file, "The job's configuration (JSON, column jobs.config)")
        ->required();
    texts->add_option("--data", data, "The data file")->required();
    texts->add_option("--vocabulary", vocabulary, "Folder with the vocabulary's files, if the job names one");
    texts->add_option("--out", destination, "The CSV file to write")->required();
    CLI11_PARSE(app, argc, argv);
    try {
        if (texts->parsed()) {
            return write_texts(config_file, data, vocabulary, destination);
        }
        if (options.access_file.empty()) {
            throw UserError("--access FILE is needed to find the coordinator; see --help");
        }
        return serve(options);
    } catch (const UserError& error) {
        std::cerr << "orchestrate-worker: " << error.what() << "\n";
        return 2;
    } catch (const std::exception& error) {
        std::cerr << "orchestrate-worker: " << error.what() << "\n";
        return 1;
    }
}
