#include "results/job_logs.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <optional>

#include "common/error.h"

namespace orchestrate {
namespace {

constexpr std::size_t kShortestIdentityPrefix = 4;
constexpr std::size_t kLongestJobNumber = 18;  // digits that surely fit into 64 bits

struct Job {
    std::int64_t id = 0;
    std::string state;
};

bool is_made_of(const std::string& text, int (*is_kind)(int)) {
    return !text.empty() &&
           std::all_of(text.begin(), text.end(), [&](unsigned char c) { return is_kind(c) != 0; });
}

// "jobs go from 1 to 14"
std::string known_jobs(SQLite::Database& database) {
    SQLite::Statement query(database, "SELECT count(*), min(id), max(id) FROM jobs");
    query.executeStep();
    if (query.getColumn(0).getInt64() == 0) {
        return "there are no jobs in this database yet";
    }
    return "jobs go from " + query.getColumn(1).getString() + " to " + query.getColumn(2).getString() +
           "; list them with: orchestrate query \"select job, study, variant, seed_index, state from "
           "job_overview\"";
}

std::vector<Job> jobs_with(SQLite::Statement& query) {
    std::vector<Job> jobs;
    while (query.executeStep()) {
        jobs.push_back({query.getColumn(0).getInt64(), query.getColumn(1).getString()});
    }
    return jobs;
}

Job find_job(SQLite::Database& database, const std::string& typed) {
    std::vector<Job> found;
    if (is_made_of(typed, std::isdigit) && typed.size() <= kLongestJobNumber) {
        SQLite::Statement by_number(database, "SELECT id, state FROM jobs WHERE id = ?");
        by_number.bind(1, static_cast<std::int64_t>(std::stoll(typed)));
        found = jobs_with(by_number);
    }
    if (found.empty() && is_made_of(typed, std::isxdigit) && typed.size() >= kShortestIdentityPrefix) {
        SQLite::Statement by_identity(
            database, "SELECT id, state FROM jobs WHERE substr(identity, 1, length(?1)) = lower(?1)");
        by_identity.bind(1, typed);
        found = jobs_with(by_identity);
    }
    if (found.empty()) {
        throw UserError("there is no job '" + typed + "': expected a job's number or the first " +
                        std::to_string(kShortestIdentityPrefix) + " or more characters of its identity; " +
                        known_jobs(database));
    }
    if (found.size() > 1) {
        throw UserError("'" + typed + "' begins the identities of " + std::to_string(found.size()) +
                        " jobs; give more characters, or the number of one of them (" +
                        std::to_string(found[0].id) + ", " + std::to_string(found[1].id) +
                        (found.size() > 2 ? ", ...)" : ")"));
    }
    return found.front();
}

}  // namespace

std::vector<AttemptLog> find_job_logs(SQLite::Database& database, const std::string& job) {
    const Job found = find_job(database, job);
    SQLite::Statement query(database,
                            "SELECT number, worker, coalesce(cause, ''), log_file FROM attempts "
                            "WHERE job_id = ? AND log_file != '' ORDER BY number");
    query.bind(1, found.id);
    std::vector<AttemptLog> logs;
    while (query.executeStep()) {
        logs.push_back({query.getColumn(0).getInt(), query.getColumn(1).getString(),
                        query.getColumn(2).getString(), query.getColumn(3).getString()});
    }
    if (logs.empty()) {
        throw UserError("job " + std::to_string(found.id) + " has no log yet: it is " + found.state +
                        " and no attempt of it has written one");
    }
    return logs;
}

}  // namespace orchestrate
