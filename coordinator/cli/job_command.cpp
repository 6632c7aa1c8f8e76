// `orchestrate job`.
#include <iostream>

#include <CLI/CLI.hpp>

#include "coordinator/cli/answers.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/command_options.h"
#include "coordinator/report/job_report.h"
#include "coordinator/report/terminal.h"
#include "results/job_list.h"

namespace orchestrate {
namespace {

struct Options {
    PlaceOptions place;
    std::string job;
    bool json = false;
};

int run(const Options& options) {
    const auto reply = ask_or_read<JobReply>(
        options.place.place(), JobRequest{options.job},
        [&](SQLite::Database& database) { return JobReply{describe_job(database, options.job)}; },
        ShowsStates::yes);
    std::cout << (options.json ? Json(reply.job).dump(2, ' ', false, Json::error_handler_t::replace) + "\n"
                               : render_job(reply.job, output_width()));
    return 0;
}

}  // namespace

void add_job_command(CommandLine& line) {
    const auto options = std::make_shared<Options>();
    CLI::App& command = line.add_while_running(
        "job", "All about a job: how it differs from its baseline, attempts and why they ended, metrics",
        [options] { return run(*options); });
    add_place(command, options->place);
    command.add_flag("--json", options->json, "Print JSON");
    command.add_option("job", options->job, kJobHelp)->required()->type_name("JOB");
}

}  // namespace orchestrate
