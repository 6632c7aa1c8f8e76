#include "results/job_lookup.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/base/error.h"
#include "common/base/nearest_name.h"
#include "results/tables.h"

namespace orchestrate {
namespace {

constexpr std::size_t kShortestIdentityPrefix = 4;
constexpr std::size_t kLongestJobNumber = 18;  // digits that surely fit into 64 bits

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
           "; orchestrate jobs lists them";
}

std::vector<JobReference> jobs_with(SQLite::Statement& query) {
    std::vector<JobReference> jobs;
    while (query.executeStep()) {
        jobs.push_back({JobId(query.getColumn(0).getInt64()), query.getColumn(1).getString()});
    }
    return jobs;
}

std::optional<StudyReference> study_named(SQLite::Database& database, const std::string& name) {
    SQLite::Statement query(database, "SELECT id FROM studies WHERE name = ?");
    query.bind(1, name);
    return query.executeStep() ? std::optional(StudyReference{StudyId(query.getColumn(0).getInt64()), name})
                               : std::nullopt;
}

// "; did you mean 'a'?", or which there are.
std::string help_with_studies(const std::string& typed, const std::vector<std::string>& names) {
    if (names.empty()) {
        return ": no study was run in this database yet";
    }
    const auto nearest = nearest_name(typed, names);
    return nearest ? fmt::format("; did you mean '{}'?", *nearest)
                   : fmt::format(". Studies are: {}", fmt::join(names, ", "));
}

}  // namespace

JobReference find_job(SQLite::Database& database, const std::string& typed) {
    std::vector<JobReference> found;
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
                        to_string(found[0].job) + ", " + to_string(found[1].job) +
                        (found.size() > 2 ? ", ...)" : ")"));
    }
    return found.front();
}

StudyReference find_study(SQLite::Database& database, const std::string& typed) {
    if (const auto found = study_named(database, typed)) {
        return *found;
    }
    throw UserError(
        fmt::format("there is no study '{}'{}", typed, help_with_studies(typed, study_names(database))));
}

std::variant<StudyReference, JobReference> find_study_or_job(SQLite::Database& database,
                                                             const std::string& typed) {
    if (const auto study = study_named(database, typed)) {
        return *study;
    }
    if (is_made_of(typed, std::isdigit) ||
        (is_made_of(typed, std::isxdigit) && typed.size() >= kShortestIdentityPrefix)) {
        try {
            return find_job(database, typed);
        } catch (const UserError&) {
            const auto names = study_names(database);
            if (!nearest_name(typed, names)) {
                throw;
            }
        }
    }
    throw UserError(fmt::format("there is no study or job '{}'{}", typed,
                                help_with_studies(typed, study_names(database))));
}

}  // namespace orchestrate
