#include "results/job_list.h"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/base/error.h"
#include "common/base/nearest_name.h"
#include "results/job_logs.h"
#include "results/job_lookup.h"

namespace orchestrate {
namespace {

constexpr std::array kStates{"waiting",   "running", "succeeded",  "failed",
                             "cancelled", "paused",  "quarantined"};

void check_states(const std::vector<std::string>& states) {
    const std::vector<std::string> known(kStates.begin(), kStates.end());
    for (const auto& state : states) {
        if (std::find(known.begin(), known.end(), state) == known.end()) {
            const auto nearest = nearest_name(state, known);
            throw UserError(fmt::format("there is no state '{}'{}; expected one of {}", state,
                                        nearest ? fmt::format("; did you mean '{}'?", *nearest) : "",
                                        fmt::join(known, ", ")));
        }
    }
}

template <class Value>
std::optional<Value> optional_column(SQLite::Statement& query, int column) {
    if (query.getColumn(column).isNull()) {
        return std::nullopt;
    }
    if constexpr (std::is_same_v<Value, double>) {
        return query.getColumn(column).getDouble();
    } else {
        return query.getColumn(column).getInt64();
    }
}

// "without energy, seed 2", "baseline, seed 1, fold 3": what tells the jobs of a study apart.
std::string title_of(SQLite::Statement& query, int column) {
    const auto variant = query.getColumn(column).getString();
    const auto initialization = query.getColumn(column + 1).getInt64();
    const auto data_order = query.getColumn(column + 2).getInt64();
    const auto folds = query.getColumn(column + 3).getInt64();
    return variant +
           (initialization == data_order
                ? fmt::format(", seed {}", initialization)
                : fmt::format(", initial weights {}, data order {}", initialization, data_order)) +
           (folds > 1 ? fmt::format(", fold {}", query.getColumn(column + 4).getInt64() + 1) : "");
}

constexpr const char* kRowColumns =
    "SELECT jobs.id, jobs.identity, studies.name, stages.name, jobs.state, "
    "(SELECT count(*) FROM attempts AS counted WHERE counted.job_id = jobs.id), coalesce(attempts.cause, "
    "''), "
    "coalesce(attempts.worker, ''), results.total_seconds, "
    "(SELECT value FROM job_metrics WHERE job_id = results.job_id AND part = 'test' AND name = 'accuracy'), "
    "(SELECT value FROM job_metrics WHERE job_id = results.job_id AND part = 'test' AND name = 'macro_f1'), "
    "variants.name, "
    "variant_jobs.initialization_seed, variant_jobs.data_order_seed, "
    "coalesce(json_extract(jobs.config, '$.data.split.folds'), 0), "
    "coalesce(json_extract(jobs.config, '$.data.split.fold'), 0), variants.change, "
    "stages.primary_metric, (SELECT value FROM job_metrics WHERE job_id = results.job_id AND part = 'test' "
    "AND name = stages.primary_metric), coalesce((SELECT unit FROM stage_metrics WHERE "
    "stage_metrics.stage_id = "
    "stages.id AND stage_metrics.name = stages.primary_metric), 'number') "
    "FROM studies JOIN stages ON stages.study_id = studies.id JOIN variants ON variants.stage_id = stages.id "
    "JOIN variant_jobs ON variant_jobs.variant_id = variants.id JOIN jobs ON jobs.id = variant_jobs.job_id "
    "LEFT JOIN attempts ON attempts.job_id = jobs.id AND attempts.number = "
    "(SELECT max(number) FROM attempts AS newest WHERE newest.job_id = jobs.id) "
    "LEFT JOIN results ON results.job_id = jobs.id AND jobs.state = 'succeeded' ";
constexpr const char* kRowOrder =
    "ORDER BY studies.id, stages.position, variants.position, variants.id, variant_jobs.seed_index";

JobRow row_of(SQLite::Statement& query) {
    JobRow row;
    row.job = JobId(query.getColumn(0).getInt64());
    row.identity = query.getColumn(1).getString();
    row.study = query.getColumn(2).getString();
    row.stage = query.getColumn(3).getString();
    row.state = query.getColumn(4).getString();
    row.attempts = query.getColumn(5).getInt64();
    row.cause = query.getColumn(6).getString();
    row.worker = query.getColumn(7).getString();
    row.seconds = optional_column<double>(query, 8);
    row.accuracy = optional_column<double>(query, 9);
    row.macro_f1 = optional_column<double>(query, 10);
    row.title = title_of(query, 11);
    row.metric = query.getColumn(17).getString();
    row.value = optional_column<double>(query, 18);
    row.unit = enum_from_name<MetricUnit>(query.getColumn(19).getString()).value_or(MetricUnit::number);
    return row;
}

// Fields that differ, by their dotted names; lists are compared whole.
void collect_differences(const Json& baseline, const Json& job, const std::string& field,
                         std::vector<FieldDifference>& differences) {
    if (baseline == job) {
        return;
    }
    if (!baseline.is_object() || !job.is_object()) {
        differences.push_back({field, baseline.dump(), job.dump()});
        return;
    }
    std::set<std::string> keys;
    for (const auto* side : {&baseline, &job}) {
        for (const auto& [key, value] : side->items()) {
            keys.insert(key);
        }
    }
    for (const auto& key : keys) {
        collect_differences(baseline.value(key, Json()), job.value(key, Json()),
                            field.empty() ? key : fmt::format("{}.{}", field, key), differences);
    }
}

std::vector<FieldDifference> differences_to_baseline(SQLite::Database& database, const JobDetails& details) {
    SQLite::Statement query(
        database,
        "SELECT baseline_jobs.config, jobs.config FROM studies JOIN stages ON stages.study_id = studies.id "
        "JOIN variants ON variants.stage_id = stages.id JOIN variant_jobs ON variant_jobs.variant_id = "
        "variants.id "
        "JOIN jobs ON jobs.id = variant_jobs.job_id "
        "JOIN variants AS baseline ON baseline.stage_id = stages.id AND baseline.is_baseline = 1 AND "
        "baseline.hidden = 0 JOIN variant_jobs AS baseline_runs ON baseline_runs.variant_id = baseline.id "
        "AND "
        "baseline_runs.seed_index = variant_jobs.seed_index "
        "JOIN jobs AS baseline_jobs ON baseline_jobs.id = baseline_runs.job_id "
        "WHERE jobs.id = ? AND studies.name = ? AND stages.name = ? AND variants.hidden = 0 "
        "ORDER BY variants.position, variants.id LIMIT 1");
    query.bind(1, details.row.job.value());
    query.bind(2, details.row.study);
    query.bind(3, details.row.stage);
    std::vector<FieldDifference> differences;
    if (query.executeStep()) {
        collect_differences(Json::parse(query.getColumn(0).getString()),
                            Json::parse(query.getColumn(1).getString()), "", differences);
    }
    return differences;
}

std::vector<AttemptDetails> attempts_of(SQLite::Database& database, JobId job) {
    SQLite::Statement query(
        database,
        "SELECT number, worker, host, device_class, ranks, started_at, coalesce(ended_at, ''), "
        "coalesce(seconds, (julianday(ended_at) - julianday(started_at)) * 86400.0), coalesce(cause, ''), "
        "message, log_file, "
        "resumed_attempt, resumed_step FROM attempts WHERE job_id = ? ORDER BY number");
    query.bind(1, job.value());
    std::vector<AttemptDetails> attempts;
    while (query.executeStep()) {
        AttemptDetails attempt;
        attempt.number = query.getColumn(0).getInt64();
        attempt.worker = query.getColumn(1).getString();
        attempt.host = query.getColumn(2).getString();
        attempt.device_class = query.getColumn(3).getString();
        attempt.ranks = query.getColumn(4).getInt64();
        attempt.started_at = query.getColumn(5).getString();
        attempt.ended_at = query.getColumn(6).getString();
        attempt.seconds = optional_column<double>(query, 7);
        attempt.cause = query.getColumn(8).getString();
        attempt.message = query.getColumn(9).getString();
        attempt.log_file = present_log(database, query.getColumn(10).getString());
        attempt.resumed_attempt = optional_column<std::int64_t>(query, 11);
        attempt.resumed_step = optional_column<std::int64_t>(query, 12);
        attempts.push_back(std::move(attempt));
    }
    return attempts;
}

std::vector<MetricValue> metrics_of(SQLite::Database& database, JobId job) {
    SQLite::Statement query(
        database,
        "SELECT part, name, value FROM job_metrics WHERE job_id = ? ORDER BY part DESC, "
        "(SELECT min(stage_metrics.position) FROM variant_jobs JOIN variants ON variants.id = "
        "variant_jobs.variant_id "
        "JOIN stage_metrics ON stage_metrics.stage_id = variants.stage_id WHERE variant_jobs.job_id = "
        "job_metrics.job_id AND stage_metrics.name = job_metrics.name) NULLS LAST, name");
    query.bind(1, job.value());
    std::vector<MetricValue> metrics;
    while (query.executeStep()) {
        const auto part = enum_from_name<MetricPart>(query.getColumn(0).getString());
        metrics.push_back({part.value(), query.getColumn(1).getString(), query.getColumn(2).getDouble()});
    }
    return metrics;
}

}  // namespace

JobsReply list_jobs(SQLite::Database& database, const JobsRequest& wanted) {
    check_states(wanted.states);
    if (!wanted.study.empty()) {
        find_study(database, wanted.study);
    }
    SQLite::Statement query(database, std::string(kRowColumns) +
                                          "WHERE variants.hidden = 0 AND (?1 = '' OR studies.name = ?1) AND "
                                          "(?2 = '[]' OR +jobs.state IN (SELECT value FROM json_each(?2))) " +
                                          kRowOrder);
    query.bind(1, wanted.study);
    query.bind(2, Json(wanted.states).dump());
    JobsReply reply;
    std::set<JobId> seen;
    while (query.executeStep()) {
        if (!seen.emplace(query.getColumn(0).getInt64()).second) {
            continue;
        }
        if (wanted.limit > 0 && std::ssize(reply.jobs) >= wanted.limit) {
            ++reply.left_out;
        } else {
            reply.jobs.push_back(row_of(query));
        }
    }
    return reply;
}

JobDetails describe_job(SQLite::Database& database, const std::string& typed) {
    const JobReference found = find_job(database, typed);
    JobDetails details;
    SQLite::Statement query(
        database, std::string(kRowColumns) + "WHERE jobs.id = ? AND variants.hidden = 0 " + kRowOrder);
    query.bind(1, found.job.value());
    while (query.executeStep()) {
        const JobRow row = row_of(query);
        if (details.used_by.empty()) {
            details.row = row;
            details.change = query.getColumn(16).getString();
        }
        details.used_by.push_back(row.study + " / " + row.stage + " / " + query.getColumn(11).getString());
    }
    SQLite::Statement job(
        database,
        "SELECT failures, created_at, coalesce(finished_at, ''), identity, state FROM jobs WHERE id = ?");
    job.bind(1, found.job.value());
    job.executeStep();
    details.row.job = found.job;  // also if no study shows it any more
    details.failures = job.getColumn(0).getInt64();
    details.created_at = job.getColumn(1).getString();
    details.finished_at = job.getColumn(2).getString();
    details.row.identity = job.getColumn(3).getString();
    details.row.state = job.getColumn(4).getString();
    details.differences = differences_to_baseline(database, details);
    details.attempts = attempts_of(database, found.job);
    if (details.row.state == "succeeded") {
        details.metrics = metrics_of(database, found.job);
    }
    return details;
}

JobsOfStudy::JobsOfStudy(SQLite::Database& database, StudyId study) : study_(study) {
    SQLite::Statement query(database,
                            "SELECT variants.id FROM stages JOIN variants ON variants.stage_id = stages.id "
                            "WHERE stages.study_id = ? AND variants.hidden = 0");
    query.bind(1, study.value());
    while (query.executeStep()) {
        variants_.push_back(query.getColumn(0).getInt64());
    }
}

std::vector<JobsOfStudy::Job> JobsOfStudy::next(SQLite::Database& database, std::size_t max_rows) {
    SQLite::Statement query(
        database,
        "SELECT seeds.seed_index, jobs.id, jobs.state, NOT EXISTS (SELECT 1 FROM variant_jobs AS users "
        "JOIN variants AS other ON other.id = users.variant_id AND other.hidden = 0 "
        "JOIN stages AS other_stage ON other_stage.id = other.stage_id AND other_stage.study_id <> ?1 "
        "JOIN studies AS other_study ON other_study.id = other_stage.study_id "
        "AND other_study.state IN ('running', 'interrupted') WHERE users.job_id = jobs.id) "
        "FROM variant_jobs AS seeds JOIN jobs ON jobs.id = seeds.job_id "
        "WHERE seeds.variant_id = ?2 AND seeds.seed_index > ?3 ORDER BY seeds.seed_index LIMIT ?4");
    std::vector<Job> jobs;
    std::size_t rows_left = max_rows;
    while (!is_done() && rows_left > 0) {
        query.reset();
        query.bind(1, study_.value());
        query.bind(2, variants_[place_]);
        query.bind(3, last_seed_index_);
        query.bind(4, static_cast<std::int64_t>(rows_left));
        std::size_t found = 0;
        for (; query.executeStep(); ++found) {
            last_seed_index_ = query.getColumn(0).getInt64();
            const JobId id(query.getColumn(1).getInt64());
            if (seen_.insert(id).second) {
                jobs.push_back({id, query.getColumn(2).getString(), query.getColumn(3).getInt() != 0});
            }
        }
        if (found < rows_left) {
            ++place_;
            last_seed_index_ = std::numeric_limits<std::int64_t>::min();
            ++found;  // the variant's row
        }
        rows_left -= std::min(found, rows_left);
    }
    return jobs;
}

std::vector<std::string> studies_of_job(SQLite::Database& database, JobId job) {
    SQLite::Statement query(
        database,
        "SELECT DISTINCT studies.name FROM studies JOIN stages ON stages.study_id = studies.id "
        "JOIN variants ON variants.stage_id = stages.id AND variants.hidden = 0 "
        "JOIN variant_jobs ON variant_jobs.variant_id = variants.id WHERE variant_jobs.job_id = ? ORDER BY "
        "studies.id");
    query.bind(1, job.value());
    std::vector<std::string> names;
    while (query.executeStep()) {
        names.push_back(query.getColumn(0).getString());
    }
    return names;
}

}  // namespace orchestrate
