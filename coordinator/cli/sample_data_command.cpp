// `orchestrate sample-data`.
#include <fstream>
#include <iostream>

#include <CLI/CLI.hpp>

#include "common/base/error.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/command_options.h"
#include "experiments/sample_tracks.h"

namespace orchestrate {
namespace {

struct Options {
    std::string destination;  // empty: standard output
    int rows_per_genre = 200;
    std::uint64_t seed = 1;
};

int run(const Options& options) {
    if (options.destination.empty()) {
        write_sample_tracks(std::cout, options.rows_per_genre, options.seed);
        return 0;
    }
    std::ofstream file(options.destination);
    write_sample_tracks(file, options.rows_per_genre, options.seed);
    file.close();
    if (!file) {
        throw UserError("cannot write '" + options.destination + "'");
    }
    return 0;
}

}  // namespace

void add_sample_data_command(CommandLine& line) {
    const auto options = std::make_shared<Options>();
    CLI::App& command = line.add("sample-data", "Write made-up tracks (CSV) to try things with",
                                 [options] { return run(*options); });
    command.add_option("--out", options->destination, "The file to write (default: standard output)")
        ->type_name("FILE");
    command.add_option("--rows-per-genre", options->rows_per_genre, "Rows of each genre")
        ->check(CLI::Range(1, 100'000'000))
        ->capture_default_str();
    command.add_option("--seed", options->seed, "Other seeds give other tracks")->capture_default_str();
}

}  // namespace orchestrate
