// `orchestrate jobs`.
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
    std::string study;  // empty: of all
    std::vector<std::string> states;
    std::int64_t limit = 0;  // 0: all
    FormatOptions formats;
};

int run(const Options& options) {
    const JobsRequest wanted{options.study, options.states, options.limit};
    const auto reply = ask_or_read<JobsReply>(
        options.place.place(), wanted,
        [&](SQLite::Database& database) { return list_jobs(database, wanted); }, ShowsStates::yes);
    std::cout << render_jobs(reply, output_width(), options.formats.chosen());
    return 0;
}

}  // namespace

void add_jobs_command(CommandLine& line) {
    const auto options = std::make_shared<Options>();
    CLI::App& command = line.add_while_running("jobs", "List jobs: state, attempts, worker, result",
                                               [options] { return run(*options); });
    add_place(command, options->place);
    command.add_flag("--json", options->formats.json, "Print JSON");
    command.add_option("study", options->study, "Only of this study")->type_name("STUDY");
    command
        .add_option(
            "--state", options->states,
            "Only in this state: waiting, running, succeeded, failed, cancelled, paused, quarantined (may be "
            "repeated)")
        ->type_name("STATE")
        ->expected(1)
        ->take_all();
    command.add_option("--limit", options->limit, "Maximum number of jobs to list")
        ->check(CLI::Range(1, 1'000'000'000));
    command.add_flag("--csv", options->formats.csv, "Print CSV");
}

}  // namespace orchestrate
