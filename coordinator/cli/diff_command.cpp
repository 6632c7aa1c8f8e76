// `orchestrate diff`.
#include <iostream>

#include <CLI/CLI.hpp>

#include "coordinator/cli/command_line.h"
#include "coordinator/cli/command_options.h"
#include "coordinator/cli/diff_report.h"

namespace orchestrate {
namespace {

struct Options {
    std::string before;  // a study file, or the name of a study in the database
    std::string after;
    std::string database = kDefaultDatabase;
    std::vector<std::string> overrides;
};

int run(const Options& options) {
    std::cout << diff_report(options.before, options.after, options.database, options.overrides);
    return 0;
}

}  // namespace

void add_diff_command(CommandLine& line) {
    const auto options = std::make_shared<Options>();
    CLI::App& command = line.add("diff", "What differs between two studies: files, or names in the database",
                                 [options] { return run(*options); });
    add_database(command, options->database);
    command.add_option("before", options->before, "A study file, or the name of a study")->required();
    command.add_option("after", options->after, "The other one")->required();
    add_overrides(command, options->overrides, "Replace a value in the files (may be repeated)");
}

}  // namespace orchestrate
