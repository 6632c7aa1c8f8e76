// `orchestrate resume`.
#include <algorithm>
#include <iostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "coordinator/cli/command_line.h"
#include "coordinator/cli/command_options.h"
#include "coordinator/cli/hosting.h"
#include "coordinator/database/read_database.h"
#include "coordinator/report/progress_display.h"

namespace orchestrate {
namespace {

struct Options {
    PlaceOptions place;
    std::string study;  // empty: all that are unfinished
    bool json = false;
    HostOptions host;
};

int host_unfinished(const Place& place, const std::optional<std::string>& study, const HostOptions& host,
                    const std::string& program_version) {
    open_to_read(place.database);  // a mistyped name makes no database
    std::vector<std::string> names;
    int code = 0;
    {
        ProgressDisplay display(stdout);
        Coordinator coordinator(coordinator_options(place, host, program_version), display);
        if (study) {
            coordinator.add_stored(*study);
        } else if (coordinator.add_unfinished(Unfinished::interrupted).empty()) {
            std::cout << "nothing is unfinished in '" << place.database.string() << "'\n";
            return 0;
        }
        coordinator.lift_pauses();
        names = coordinator.studies();
        coordinator.run();
        for (const auto& name : names) {
            code = std::max(code, coordinator.outcome(name) == StudyState::finished ? 0 : 1);
        }
        code = coordinator.interrupted() ? 130 : code;
    }
    for (const auto& name : names) {
        print_comparison(place.database, name);
    }
    return code;
}

int resume(const Options& options, const std::string& program_version) {
    const Place place = options.place.place();
    return elsewhere_or_here(
        place,
        [&]() -> std::optional<int> {
            auto client = Client::reach(place);
            if (!client) {
                return std::nullopt;
            }
            const auto reply = client->ask<TextReply>(ControlRequest{Control::resume, options.study});
            std::cout << (options.json ? Json{{"done", reply.text}}.dump() : reply.text) << "\n";
            return 0;
        },
        [&] { return host_unfinished(place, if_given(options.study), options.host, program_version); });
}

}  // namespace

void add_resume_command(CommandLine& line) {
    const auto options = std::make_shared<Options>();
    CLI::App& command = line.add_while_running(
        "resume",
        "Go on with a study that is paused or unfinished, or with all; runs the coordinator if there is none",
        [options, version = line.program_version()] { return resume(*options, version); });
    add_place(command, options->place);
    command.add_flag("--json", options->json, "Print JSON");
    command.add_option("study", options->study, "Only this study")->type_name("STUDY");
    add_host(command, options->host, "Ranks at a time on this machine (default: as the first study says)");
}

}  // namespace orchestrate
