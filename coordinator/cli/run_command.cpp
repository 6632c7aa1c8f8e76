// `orchestrate run`, which hosts a coordinator or submits to the one that there is.
#include <iostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "coordinator/cli/command_line.h"
#include "coordinator/cli/command_options.h"
#include "coordinator/cli/follow.h"
#include "coordinator/cli/hosting.h"
#include "coordinator/cli/plan_report.h"
#include "coordinator/report/progress_display.h"
#include "coordinator/sites/local_devices.h"
#include "experiments/load_study.h"

namespace orchestrate {
namespace {

struct Options {
    PlaceOptions place;
    StudyOptions study;
    HostOptions host;
};

std::string changes_since_last_run(const Study& study, const Place& place) {
    try {
        return place.access ? "" : difference_to_last_run(study, place.database);
    } catch (const UserError&) {
        return {};  // the coordinator that has the database keeps it for itself
    }
}

// Submits to the coordinator that there is and follows; nothing if there is none, or it is about to end.
std::optional<int> submit_and_follow(const Study& study, const Options& options) {
    const Place place = options.place.place();
    auto client = Client::reach(place);
    if (!client) {
        return std::nullopt;
    }
    if (options.host.workers > 0 || options.host.reachable) {
        std::cerr << "--workers and --reachable change nothing: a coordinator is running already\n";
    }
    const auto accepted = client->ask<StudyAccepted>(SubmitStudy{study.file.string(), study.toml});
    if (accepted.ending) {
        return std::nullopt;
    }
    std::cout << (accepted.known ? "study " + study.name + " is running already; following it\n"
                                 : "submitted study " + study.name + " to the coordinator that is running\n")
              << std::flush;
    return follow_study(*std::move(client), place, study.name);
}

int host_study(const Study& study, const Options& options, const std::string& program_version) {
    const Place place = options.place.place();
    StudyState outcome{};
    std::vector<std::string> others;
    {
        ProgressDisplay display(stdout);
        Coordinator coordinator(coordinator_options(place, options.host, program_version), display);
        if (coordinator.add(study)) {
            const auto also = coordinator.add_unfinished(Unfinished::left_running);
            if (!also.empty()) {
                display.note(fmt::format("goes on also with: {}", fmt::join(also, ", ")));
            }
        } else if (const auto left = coordinator.left_running(); !left.empty()) {
            display.note(
                fmt::format("left unfinished by a coordinator that was killed: {0} (orchestrate resume {0} "
                            "goes on)",
                            fmt::join(left, " ")));
        }
        coordinator.run();
        outcome = coordinator.outcome(study.name);
    }
    print_comparison(place.database, study.name);
    return report_outcome(study.name, to_string(outcome));
}

int run_study(const Options& options, const std::string& program_version) {
    const Study study = load_study(options.study.file, options.study.overrides, look_at_devices());
    for (const auto& warning : study.warnings) {
        std::cerr << render(warning) << "\n";
    }
    const Place place = options.place.place();
    std::cout << changes_since_last_run(study, place) << std::flush;
    return elsewhere_or_here(
        place, [&] { return submit_and_follow(study, options); },
        [&] { return host_study(study, options, program_version); });
}

}  // namespace

void add_run_command(CommandLine& line) {
    const auto options = std::make_shared<Options>();
    CLI::App& command = line.add(
        "run",
        "Train what a study asks for and print its table; submits it to the coordinator that has the "
        "database, if there is one",
        [options, version = line.program_version()] { return run_study(*options, version); });
    add_place(command, options->place);
    add_study(command, options->study);
    add_host(command, options->host, "Ranks at a time on this machine (default: one per core or GPU)");
}

}  // namespace orchestrate
