// Options that several commands have.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "coordinator/cli/client.h"
#include "results/tables.h"

namespace CLI {
class App;
}

namespace orchestrate {

// What `add_...` binds must outlive the parsing of the command line.

struct FormatOptions {
    bool json = false;
    bool csv = false;
    OutputFormat chosen() const {
        return json ? OutputFormat::json : csv ? OutputFormat::csv : OutputFormat::table;
    }
};
void add_formats(CLI::App& command, FormatOptions& formats);  // --json, --csv

inline constexpr const char* kDefaultDatabase = "results.db";
void add_database(CLI::App& command, std::string& database);  // --db

// Where a coordinator or its database is.
struct PlaceOptions {
    std::string database = kDefaultDatabase;
    std::string access;
    Place place() const;
};
void add_place(CLI::App& command, PlaceOptions& options);  // --db, --access

// A study file with what replaces its values.
struct StudyOptions {
    std::string file;
    std::vector<std::string> overrides;
};
void add_study(CLI::App& command, StudyOptions& options);  // FILE, --set
void add_overrides(CLI::App& command, std::vector<std::string>& overrides, const std::string& help);  // --set

// How a coordinator is set up that a command hosts.
struct HostOptions {
    int workers = 0;         // 0: what the study says
    bool take_over = false;  // replace a silent coordinator on another host
    bool reachable = false;  // from other hosts
    double heartbeat_seconds = 4;
};
void add_host(CLI::App& command, HostOptions& options, const std::string& workers_help);

// Nothing for an empty text: the option was not given.
std::optional<std::string> if_given(const std::string& text);

inline constexpr const char* kJobHelp = "A job's number, or the first characters of its identity";

}  // namespace orchestrate
