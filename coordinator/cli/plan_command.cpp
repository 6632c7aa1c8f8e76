// `orchestrate plan`.
#include <iostream>

#include <CLI/CLI.hpp>

#include "common/base/number_check.h"
#include "coordinator/cli/calibration.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/command_options.h"
#include "coordinator/cli/plan_report.h"
#include "coordinator/sites/local_devices.h"
#include "experiments/load_study.h"
#include "experiments/tree.h"

namespace orchestrate {
namespace {

struct Options {
    StudyOptions study;
    std::string database = kDefaultDatabase;
    PlanArguments plan;
};

int run(const Options& options) {
    PlanArguments arguments = options.plan;
    arguments.database = options.database;
    const Study study = load_study(options.study.file, options.study.overrides, look_at_devices());
    for (const auto& warning : study.warnings) {
        std::cerr << render(warning) << "\n";
    }
    if (arguments.tree) {
        std::cout << render_tree(study);
        return 0;
    }
    const auto calibration = arguments.calibrate ? std::optional(calibrate(study)) : std::nullopt;
    std::cout << whole_plan(study, arguments, calibration);
    return 0;
}

}  // namespace

void add_plan_command(CommandLine& line) {
    const auto options = std::make_shared<Options>();
    CLI::App& command = line.add("plan", "Show what a study would train; starts nothing",
                                 [options] { return run(*options); });
    add_database(command, options->database);
    add_study(command, options->study);
    command.add_flag("--tree", options->plan.tree, "Draw stages, ablations and variants as a tree");
    command
        .add_option("--workers", options->plan.workers,
                    "Ranks at a time, for the wall time (default: as the study says)")
        ->check(CLI::Range(1, 1'000'000));
    command.add_flag("--calibrate", options->plan.calibrate,
                     "Train one short job on this machine first (one epoch), to say what the study costs");
    command
        .add_option("--spread", options->plan.spread,
                    "How far a difference varies from seed to seed: of macro F1 in points, of a command's "
                    "first metric")
        ->check(positive_number());
    command
        .add_option("--difference", options->plan.difference,
                    "Say how many seeds find this difference; in points, or as the command reports it")
        ->check(positive_number());
}

}  // namespace orchestrate
