// `orchestrate table`.
#include <iostream>

#include <CLI/CLI.hpp>

#include "coordinator/cli/answers.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/command_options.h"
#include "coordinator/report/job_report.h"
#include "coordinator/report/terminal.h"

namespace orchestrate {
namespace {

struct Options {
    PlaceOptions place;
    std::string study;
    std::string stage;
    std::vector<std::string> metrics;
    FormatOptions formats;
};

int run(const Options& options) {
    const TableRequest wanted{options.study, options.stage, static_cast<std::int64_t>(output_width()),
                              to_string(options.formats.chosen()), options.metrics};
    const auto reply = ask_or_read<TextReply>(
        options.place.place(), wanted,
        [&](SQLite::Database& database) { return TextReply{table_text(database, wanted)}; },
        ShowsStates::yes);
    std::cout << reply.text;
    return 0;
}

}  // namespace

void add_table_command(CommandLine& line) {
    const auto options = std::make_shared<Options>();
    CLI::App& command =
        line.add("table", "Print the comparison table of a study", [options] { return run(*options); });
    command.add_option("study", options->study, "Its name (default: the newest)")->type_name("STUDY");
    command.add_option("--stage", options->stage, "Another stage than the last")->type_name("STAGE");
    command
        .add_option("--metrics", options->metrics,
                    "Other columns: any metrics that the jobs report, e.g. macro_f1,macro_roc_auc,loss")
        ->delimiter(',')
        ->type_name("NAME,...");
    add_place(command, options->place);
    add_formats(command, options->formats);
}

}  // namespace orchestrate
