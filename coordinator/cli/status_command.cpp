// `orchestrate status`.
#include <iostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "coordinator/cli/answers.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/command_options.h"
#include "coordinator/report/progress_display.h"
#include "coordinator/report/terminal.h"
#include "results/display_width.h"

namespace orchestrate {
namespace {

constexpr std::size_t kPipeWidth = 200;  // of what is made for a terminal and goes elsewhere

struct Options {
    PlaceOptions place;
    FormatOptions formats;
};

int show_stored_status(const Place& place, OutputFormat format) {
    auto database = open_to_read(place.database);
    say_that_nobody_runs(place, database);
    std::cout << render_study_status(database, output_width(), format);
    return 0;
}

int show_status(const Place& place, OutputFormat format) {
    StatusReply status;
    try {
        auto client = Client::reach(place);
        if (!client) {
            return show_stored_status(place, format);
        }
        status = client->ask<StatusReply>(StatusRequest{});
    } catch (const CoordinatorSilent& error) {
        if (place.access) {
            throw;
        }
        std::cerr << error.what() << ". What follows is read from its database\n";
        show_stored_status(place, format);
        return 1;
    }
    if (format == OutputFormat::json) {
        std::cout << Json(status).dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
        return 0;
    }
    const std::size_t width = output_width();
    std::cout << fmt::format(
        "coordinator: process {} on {}, {}, {} waiting\n", status.process_id, status.host,
        status.workers.size() == 1 ? "1 worker" : fmt::format("{} workers", status.workers.size()),
        status.waiting == 1 ? "1 job" : fmt::format("{} jobs", status.waiting));
    if (!status.paused.empty()) {
        std::cout << wrapped("nothing is handed out at the moment: " + status.paused, width);
    }
    for (const auto& line : render_progress(status, width == 0 ? kPipeWidth : width)) {
        std::cout << line << "\n";
    }
    for (const auto& study : status.studies) {
        if (study.state != "running" && study.state != "paused") {
            std::cout << study.study << ": " << study.state << "\n";
        }
    }
    return 0;
}

}  // namespace

void add_status_command(CommandLine& line) {
    const auto options = std::make_shared<Options>();
    CLI::App& command = line.add_while_running(
        "status", "What runs now, or how far each study is",
        [options] { return show_status(options->place.place(), options->formats.chosen()); });
    add_place(command, options->place);
    command.add_flag("--json", options->formats.json, "Print JSON");
    command.add_flag("--csv", options->formats.csv, "Print CSV (of a database that no coordinator has)");
}

}  // namespace orchestrate
