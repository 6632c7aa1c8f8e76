// `orchestrate explain`.
#include <iostream>
#include <sstream>

#include <CLI/CLI.hpp>

#include "coordinator/cli/command_line.h"
#include "coordinator/cli/command_options.h"
#include "coordinator/report/terminal.h"
#include "experiments/fields/reference.h"
#include "results/display_width.h"

namespace orchestrate {
namespace {

int run(const std::string& field) {
    std::istringstream lines(explain_field(field));
    for (std::string line; std::getline(lines, line);) {
        std::cout << wrapped_note(line, output_width());
    }
    return 0;
}

}  // namespace

void add_explain_command(CommandLine& line) {
    const auto field = std::make_shared<std::string>();
    line.add("explain", "Type, range, default and meaning of a field of the study file",
             [field] { return run(*field); })
        .add_option("field", *field, "train.epochs, epochs, or a section: train")
        ->required();
}

}  // namespace orchestrate
