#include "coordinator/cli/answers.h"

#include <iostream>

#include <fmt/format.h>

#include "common/base/host.h"
#include "common/base/printable.h"
#include "coordinator/database/database_lock.h"
#include "coordinator/database/database_owner.h"
#include "coordinator/report/terminal.h"
#include "results/display_width.h"

namespace orchestrate {
namespace {

// Whether a coordinator has the database, also one that is about to begin or to end, or one of another host that this one
// cannot reach.
bool somebody_has(const Place& place, SQLite::Database& database) {
    const auto owner = read_owner(database);
    if (owner && owner->host != host_name()) {
        const auto silence = silence_of(*owner, std::chrono::system_clock::now());
        return silence && *silence < std::chrono::seconds(DatabaseLock::kHeartbeatLimitSeconds);
    }
    return DatabaseLock::is_held(place.database);
}

}  // namespace

std::optional<Client> reach_or_say_silence(const Place& place) {
    try {
        return Client::reach(place);
    } catch (const CoordinatorSilent& error) {
        if (place.access) {
            throw;
        }
        std::cerr << error.what() << ". What follows is read from its database\n";
        return std::nullopt;
    }
}

void say_that_nobody_runs(const Place& place, SQLite::Database& database) {
    SQLite::Statement query(database, "SELECT name FROM studies WHERE state = 'running' ORDER BY id");
    std::string studies;
    while (query.executeStep()) {
        studies += (studies.empty() ? "" : " or ") + query.getColumn(0).getString();
    }
    if (!studies.empty() && !somebody_has(place, database)) {
        std::cerr << "no coordinator is running, so nothing runs here at the moment; orchestrate resume "
                  << printable(studies) << " goes on\n";
    }
}

void say_age(double seconds) {
    std::cerr << fmt::format(
        "of {:.0f} s ago: on this file system only the coordinator can read the database, and makes copies "
        "of "
        "it\n",
        seconds);
}

void print_text(const std::string& text, const char* key, bool json) {
    if (json) {
        std::cout << Json{{key, text}}.dump() << "\n";
    } else {
        std::cout << wrapped(text, output_width());
    }
}

}  // namespace orchestrate
