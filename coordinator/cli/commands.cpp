#include "coordinator/cli/commands.h"

#include <fstream>
#include <iostream>

#include "common/base/error.h"
#include "coordinator/database/read_database.h"
#include "coordinator/report/terminal.h"
#include "experiments/sample_tracks.h"

namespace orchestrate {

int run_query(const std::filesystem::path& path, const std::string& sql, OutputFormat format) {
    auto database = open_to_read(path);
    std::cout << render_query(database, sql, output_width(), format);
    return 0;
}

int write_sample_data(const std::optional<std::filesystem::path>& destination, int rows_per_genre,
                      std::uint64_t seed) {
    if (!destination) {
        write_sample_tracks(std::cout, rows_per_genre, seed);
        return 0;
    }
    std::ofstream file(*destination);
    write_sample_tracks(file, rows_per_genre, seed);
    file.close();
    if (!file) {
        throw UserError("cannot write '" + destination->string() + "'");
    }
    return 0;
}

}  // namespace orchestrate
