#include "coordinator/cli/command_line.h"

#include <algorithm>

#include <CLI/CLI.hpp>

namespace orchestrate {

CLI::App& CommandLine::add(const std::string& name, const std::string& about, std::function<int()> run) {
    CLI::App& command = *app_.add_subcommand(name, about);
    commands_.push_back({&command, std::move(run)});
    return command;
}

CLI::App& CommandLine::add_while_running(const std::string& name, const std::string& about,
                                         std::function<int()> run) {
    CLI::App& command = add(name, about, std::move(run));
    command.group("While it runs");
    return command;
}

int CommandLine::run() const {
    const auto given =
        std::ranges::find_if(commands_, [](const Command& command) { return command.app->parsed(); });
    return given->run();  // the parser requires one
}

}  // namespace orchestrate
