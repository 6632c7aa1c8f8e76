// `orchestrate query`.
#include <iostream>

#include <CLI/CLI.hpp>

#include "coordinator/cli/command_line.h"
#include "coordinator/cli/command_options.h"
#include "coordinator/database/read_database.h"
#include "coordinator/report/terminal.h"

namespace orchestrate {
namespace {

struct Options {
    std::string database = kDefaultDatabase;
    std::string sql;
    FormatOptions formats;
};

int run(const Options& options) {
    auto database = open_to_read(options.database);
    std::cout << render_query(database, options.sql, output_width(), options.formats.chosen());
    return 0;
}

}  // namespace

void add_query_command(CommandLine& line) {
    const auto options = std::make_shared<Options>();
    CLI::App& command = line.add("query", "One SQL query; try: select * from comparison",
                                 [options] { return run(*options); });
    add_database(command, options->database);
    command.add_option("sql", options->sql, "The query")->required()->type_name("SQL");
    add_formats(command, options->formats);
}

}  // namespace orchestrate
