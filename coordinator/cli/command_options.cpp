#include "coordinator/cli/command_options.h"

#include <CLI/CLI.hpp>

#include "common/base/number_check.h"

namespace orchestrate {

void add_formats(CLI::App& command, FormatOptions& formats) {
    auto* json = command.add_flag("--json", formats.json, "Print JSON");
    command.add_flag("--csv", formats.csv, "Print CSV")->excludes(json);
}

void add_database(CLI::App& command, std::string& database) {
    command.add_option("--db", database, "The results database")->capture_default_str()->type_name("FILE");
}

Place PlaceOptions::place() const {
    return {database, access.empty() ? std::nullopt : std::optional<std::filesystem::path>(access)};
}

void add_place(CLI::App& command, PlaceOptions& options) {
    add_database(command, options.database);
    command
        .add_option("--access", options.access,
                    "From another host: the access file of the coordinator (DATABASE.d/access.json)")
        ->type_name("FILE");
}

void add_study(CLI::App& command, StudyOptions& options) {
    command.add_option("file", options.file, "The study (TOML)")->required()->type_name("FILE");
    add_overrides(command, options.overrides,
                  "Replace a value of the file: --set train.epochs=3 (may be repeated)");
}

void add_overrides(CLI::App& command, std::vector<std::string>& overrides, const std::string& help) {
    command.add_option("--set", overrides, help)->type_name("KEY=VALUE")->expected(1)->take_all();
}

void add_host(CLI::App& command, HostOptions& options, const std::string& workers_help) {
    command.add_option("--workers", options.workers, workers_help)->check(CLI::Range(1, 4096));
    command.add_flag("--reachable", options.reachable,
                     "Listen on all addresses of this host, for commands from others");
    command.add_flag("--take-over", options.take_over,
                     "Replace a coordinator on another host that is certainly dead");
    command
        .add_option("--heartbeat", options.heartbeat_seconds,
                    "Heartbeat interval in seconds; a worker or rank that misses three is considered lost")
        ->check(heartbeat_seconds())
        ->capture_default_str();
}

std::optional<std::string> if_given(const std::string& text) {
    return text.empty() ? std::nullopt : std::optional(text);
}

}  // namespace orchestrate
