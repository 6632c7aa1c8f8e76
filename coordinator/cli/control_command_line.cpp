#include "coordinator/cli/control_command_line.h"

#include <vector>

#include <CLI/CLI.hpp>

#include "common/base/number_check.h"
#include "coordinator/cli/control_commands.h"
#include "coordinator/cli/run_commands.h"
#include "coordinator/cli/top.h"

namespace orchestrate {
namespace {

constexpr const char* kGroup = "While it runs";

struct ChangeCommand {
    CLI::App* command = nullptr;
    Control control = Control::cancel;
};

}  // namespace

struct ControlCommandLine::Commands {
    std::string database = "results.db";
    std::string access;
    std::string target;
    std::string study;
    std::vector<std::string> states;
    bool json = false;
    bool csv = false;
    HostArguments host;
    JobsArguments jobs;
    LogsArguments logs;
    CLI::App* status_command = nullptr;
    CLI::App* jobs_command = nullptr;
    CLI::App* job_command = nullptr;
    CLI::App* logs_command = nullptr;
    CLI::App* why_command = nullptr;
    CLI::App* top_command = nullptr;
    CLI::App* resume_command = nullptr;
    CLI::App* serve_command = nullptr;
    std::vector<ChangeCommand> changes;

    CLI::App* add(CLI::App& app, const std::string& name, const std::string& about) {
        CLI::App* command = app.add_subcommand(name, about);
        command->group(kGroup);
        command->add_option("--db", database, "The results database")
            ->capture_default_str()
            ->type_name("FILE");
        return command;
    }
    CLI::App* add_asking(CLI::App& app, const std::string& name, const std::string& about) {
        CLI::App* command = add(app, name, about);
        command
            ->add_option("--access", access,
                         "From another host: the access file of the coordinator (DATABASE.d/access.json)")
            ->type_name("FILE");
        command->add_flag("--json", json, "Print JSON");
        return command;
    }
    void add_change(CLI::App& app, Control control, const std::string& about, const char* what,
                    const char* help) {
        CLI::App* command = add_asking(app, to_string(control), about);
        command->add_option("target", target, help)->required()->type_name(what);
        changes.push_back({command, control});
    }
    void add_host(CLI::App* command) {
        command
            ->add_option("--workers", host.workers,
                         "Ranks at a time on this machine (default: as the first study says)")
            ->check(CLI::Range(1, 4096));
        command->add_flag("--take-over", host.take_over,
                          "Replace a coordinator on another host that is certainly dead");
        command->add_flag("--reachable", host.reachable,
                          "Listen on all addresses of this host, for commands from others");
        command->add_option("--heartbeat", host.heartbeat_seconds, "Seconds between signs of life of workers")
            ->check(heartbeat_seconds())
            ->capture_default_str();
    }

    Place place() const {
        return {database, access.empty() ? std::nullopt : std::optional<std::filesystem::path>(access)};
    }
    OutputFormat format() const {
        return json ? OutputFormat::json : csv ? OutputFormat::csv : OutputFormat::table;
    }
};

ControlCommandLine::ControlCommandLine(CLI::App& app) : commands_(std::make_unique<Commands>()) {
    auto& all = *commands_;
    constexpr const char* kJob = "A job's number, or the first characters of its identity";
    constexpr const char* kJobOrStudy = "A study, a job's number, or the first characters of its identity";

    all.status_command = all.add_asking(app, "status", "What runs now, or how far each study is");
    all.status_command->add_flag("--csv", all.csv, "Print CSV (of a database that no coordinator has)");

    all.top_command =
        all.add_asking(app, "top", "Studies, workers and events, live on the whole screen; q leaves");

    all.jobs_command = all.add_asking(app, "jobs", "List jobs: state, attempts, worker, result");
    all.jobs_command->add_option("study", all.study, "Only of this study")->type_name("STUDY");
    all.jobs_command
        ->add_option(
            "--state", all.jobs.states,
            "Only in this state: waiting, running, succeeded, failed, cancelled, paused, quarantined (may be "
            "repeated)")
        ->type_name("STATE")
        ->expected(1)
        ->take_all();
    all.jobs_command->add_option("--limit", all.jobs.limit, "At most so many")
        ->check(CLI::Range(1, 1'000'000'000));
    all.jobs_command->add_flag("--csv", all.csv, "Print CSV");

    all.job_command = all.add_asking(
        app, "job",
        "All about a job: how it differs from its baseline, attempts and why they ended, metrics");
    all.job_command->add_option("job", all.target, kJob)->required()->type_name("JOB");

    all.logs_command = all.add_asking(app, "logs", "Print the logs of a job's attempts");
    all.logs_command->add_option("job", all.logs.job, kJob)->required()->type_name("JOB");
    auto* follow = all.logs_command->add_flag("-f,--follow", all.logs.follow,
                                              "Print what is added, until the job has ended");
    all.logs_command->add_option("--attempt", all.logs.attempt, "Only of this attempt")
        ->check(CLI::Range(1, 1'000'000))
        ->excludes(follow);
    auto* paths = all.logs_command->add_flag("--paths", all.logs.only_paths, "Only the names of the files");
    paths->excludes(follow);
    paths->excludes(all.logs_command->get_option("--json"));
    all.logs_command->get_option("--json")->excludes(follow);

    all.why_command = all.add_asking(app, "why", "Why a job does not run, in one sentence");
    all.why_command->add_option("job", all.target, kJob)->required()->type_name("JOB");

    all.add_change(app, Control::cancel, "Cancel a job, or a study with its jobs; what was measured is kept",
                   "JOB|STUDY", kJobOrStudy);
    all.add_change(app, Control::retry,
                   "Try again a job, or all jobs of a study, that failed or were cancelled", "JOB|STUDY",
                   kJobOrStudy);
    all.add_change(app, Control::pause, "Begin nothing new of a study; what runs goes on", "STUDY",
                   "The study");
    all.add_change(app, Control::drain, "Let a worker end after its job, and leave its place empty", "WORKER",
                   "As `orchestrate status` names it");

    all.resume_command = all.add_asking(app, "resume",
                                        "Go on with a study that is paused or unfinished, or with all; runs "
                                        "the coordinator if there is none");
    all.resume_command->add_option("study", all.study, "Only this study")->type_name("STUDY");
    all.add_host(all.resume_command);

    all.serve_command =
        all.add(app, "serve", "Run a coordinator that goes on with what is unfinished and waits for studies");
    all.add_host(all.serve_command);
}

ControlCommandLine::~ControlCommandLine() = default;

std::optional<int> ControlCommandLine::run(const std::string& program_version) const {
    const auto& all = *commands_;
    const Place place = all.place();
    const auto study = all.study.empty() ? std::nullopt : std::optional(all.study);
    if (all.status_command->parsed()) {
        return show_status(place, all.format());
    }
    if (all.top_command->parsed()) {
        return show_top(place, all.json);
    }
    if (all.jobs_command->parsed()) {
        JobsArguments arguments = all.jobs;
        arguments.study = study;
        arguments.format = all.format();
        return show_jobs(place, arguments);
    }
    if (all.job_command->parsed()) {
        return show_job(place, all.target, all.json);
    }
    if (all.logs_command->parsed()) {
        LogsArguments arguments = all.logs;
        arguments.json = all.json;
        return show_logs(place, arguments);
    }
    if (all.why_command->parsed()) {
        return show_why(place, all.target, all.json);
    }
    if (all.resume_command->parsed()) {
        return resume(place, study, all.host, all.json, program_version);
    }
    if (all.serve_command->parsed()) {
        return serve(place, all.host, program_version);
    }
    for (const auto& [command, control] : all.changes) {
        if (command->parsed()) {
            return change(place, {control, all.target}, all.json);
        }
    }
    return std::nullopt;
}

}  // namespace orchestrate
