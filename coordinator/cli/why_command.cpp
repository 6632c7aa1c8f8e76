// `orchestrate why`.
#include <CLI/CLI.hpp>

#include "coordinator/cli/answers.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/command_options.h"
#include "coordinator/report/why.h"

namespace orchestrate {
namespace {

struct Options {
    PlaceOptions place;
    std::string job;
    bool json = false;
};

int run(const Options& options) {
    const auto reply = ask_or_read<TextReply>(
        options.place.place(), WhyRequest{options.job},
        [&](SQLite::Database& database) { return TextReply{why_text(stored_facts(database, options.job))}; });
    print_text(reply.text, "why", options.json);
    return 0;
}

}  // namespace

void add_why_command(CommandLine& line) {
    const auto options = std::make_shared<Options>();
    CLI::App& command = line.add_while_running("why", "Why a job does not run, in one sentence",
                                               [options] { return run(*options); });
    add_place(command, options->place);
    command.add_flag("--json", options->json, "Print JSON");
    command.add_option("job", options->job, kJobHelp)->required()->type_name("JOB");
}

}  // namespace orchestrate
