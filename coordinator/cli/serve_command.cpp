// `orchestrate serve`: a coordinator without a study of its own.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "coordinator/cli/command_line.h"
#include "coordinator/cli/command_options.h"
#include "coordinator/cli/hosting.h"
#include "coordinator/report/progress_display.h"

namespace orchestrate {
namespace {

struct Options {
    std::string database = kDefaultDatabase;
    HostOptions host;
};

int serve(const Options& options, const std::string& program_version) {
    const Place place{options.database, std::nullopt};
    ProgressDisplay display(stdout);
    auto coordinator_settings = coordinator_options(place, options.host, program_version);
    coordinator_settings.stay = true;
    Coordinator coordinator(coordinator_settings, display);
    const auto names = coordinator.add_unfinished(Unfinished::interrupted);
    if (!names.empty()) {
        display.note(fmt::format("goes on with: {}", fmt::join(names, ", ")));
    }
    display.note("waiting for studies: orchestrate run FILE --db " + place.database.string());
    coordinator.run();
    return 0;
}

}  // namespace

void add_serve_command(CommandLine& line) {
    const auto options = std::make_shared<Options>();
    CLI::App& command = line.add_while_running(
        "serve", "Run a coordinator that goes on with what is unfinished and waits for studies",
        [options, version = line.program_version()] { return serve(*options, version); });
    add_database(command, options->database);
    add_host(command, options->host, "Ranks at a time on this machine (default: as the first study says)");
}

}  // namespace orchestrate
