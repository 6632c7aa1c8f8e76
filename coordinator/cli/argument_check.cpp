#include "coordinator/cli/argument_check.h"

#include <CLI/CLI.hpp>

#include "common/base/nearest_name.h"

namespace orchestrate {
namespace {

bool is_long_option(const std::string& argument) {
    return argument.size() > 2 && argument.starts_with("--");
}

std::string did_you_mean(const std::string& name, const std::vector<std::string>& candidates) {
    const auto nearest = nearest_name(name, candidates);
    return nearest ? "; did you mean '" + *nearest + "'?" : "";
}

std::vector<std::string> command_names(const CLI::App& app) {
    std::vector<std::string> names;
    for (const CLI::App* command : app.get_subcommands([](const CLI::App* command) {
             return !command->get_group().empty();  // not those that are started by programs
         })) {
        names.push_back(command->get_name());
    }
    return names;
}

std::vector<std::string> option_names(const CLI::App& app) {
    std::vector<std::string> names;
    for (const CLI::Option* option : app.get_options()) {
        for (const std::string& name : option->get_lnames()) {
            names.push_back("--" + name);
        }
    }
    return names;
}

// The first unknown long option from `begin` on; values of options are passed over.
std::optional<std::string> unknown_option(const CLI::App& app, const std::vector<std::string>& arguments,
                                          std::size_t begin, const std::string& whose) {
    for (std::size_t i = begin; i < arguments.size(); ++i) {
        const std::string& argument = arguments[i];
        if (argument == "--") {
            return std::nullopt;  // only positional arguments follow
        }
        const std::string name = argument.substr(0, argument.find('='));
        const CLI::Option* option =
            name.size() > 1 && name[0] == '-' ? app.get_option_no_throw(name) : nullptr;
        if (option == nullptr && is_long_option(name)) {
            return "there is no option '" + name + "'" + whose + did_you_mean(name, option_names(app)) +
                   "\nRun 'orchestrate" + (app.get_parent() != nullptr ? " " + app.get_name() : "") +
                   " --help' for the options there are";
        }
        if (option != nullptr && name.size() == argument.size()) {
            i += static_cast<std::size_t>(std::max(0, option->get_items_expected_min()));
        }
    }
    return std::nullopt;
}

}  // namespace

std::optional<std::string> unknown_argument(const CLI::App& app, const std::vector<std::string>& arguments) {
    std::size_t begin = 0;
    while (begin < arguments.size() && arguments[begin].starts_with("-")) {
        ++begin;
    }
    const std::vector<std::string> before(arguments.begin(),
                                          arguments.begin() + static_cast<std::ptrdiff_t>(begin));
    if (const auto unknown = unknown_option(app, before, 0, "")) {
        return unknown;
    }
    if (begin == arguments.size()) {
        return std::nullopt;
    }
    const auto commands =
        app.get_subcommands([&](const CLI::App* command) { return command->get_name() == arguments[begin]; });
    if (commands.empty()) {
        return "there is no command '" + arguments[begin] + "'" +
               did_you_mean(arguments[begin], command_names(app)) +
               "\nRun 'orchestrate --help' for the commands there are";
    }
    return unknown_option(*commands.front(), arguments, begin + 1,
                          " of 'orchestrate " + commands.front()->get_name() + "'");
}

}  // namespace orchestrate
