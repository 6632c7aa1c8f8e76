#include "coordinator/cli/hosting.h"

#include <iostream>

#include "coordinator/database/read_database.h"
#include "coordinator/report/terminal.h"
#include "results/tables.h"

namespace orchestrate {

CoordinatorOptions coordinator_options(const Place& place, const HostOptions& host,
                                       const std::string& program_version) {
    CoordinatorOptions options;
    options.database = place.database;
    options.program_version = program_version;
    options.workers = host.workers;
    options.take_over = host.take_over;
    options.reachable = host.reachable;
    options.heartbeat_interval =
        std::chrono::milliseconds(static_cast<std::int64_t>(1000 * host.heartbeat_seconds));
    return options;
}

void print_comparison(const std::filesystem::path& path, const std::string& study) {
    auto database = open_to_read(path);
    std::cout << "\n" << render_comparison(database, study, std::nullopt, output_width()) << std::flush;
}

}  // namespace orchestrate
