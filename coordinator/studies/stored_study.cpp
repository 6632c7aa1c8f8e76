#include "coordinator/studies/stored_study.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>

#include "common/base/counted.h"
#include "coordinator/studies/study_owner.h"

namespace orchestrate {
namespace {

// Sum of squares around the mean of each group, pooled.
class PooledVariance {
  public:
    void add(const std::string& group, double value) {
        groups_[group].push_back(value);
        size_ = std::max(size_, std::abs(value));
    }

    // Nothing without two values in some group.
    std::optional<double> deviation() const {
        double squares = 0;
        for (const auto& [name, values] : groups_) {
            double mean = 0;
            for (const double value : values) {
                mean += value / static_cast<double>(values.size());
            }
            for (const double value : values) {
                squares += values.size() > 1 ? (value - mean) * (value - mean) : 0;
            }
        }
        const auto freedom = static_cast<double>(values() - groups());
        return freedom > 0 ? std::optional(std::sqrt(squares / freedom)) : std::nullopt;
    }

    // Of groups with at least two values.
    std::int64_t groups() const {
        std::int64_t count = 0;
        for (const auto& [name, values] : groups_) {
            count += values.size() > 1 ? 1 : 0;
        }
        return count;
    }
    std::int64_t values() const {
        std::int64_t count = 0;
        for (const auto& [name, values] : groups_) {
            count += values.size() > 1 ? std::ssize(values) : 0;
        }
        return count;
    }

    double size() const { return size_; }

  private:
    std::map<std::string, std::vector<double>> groups_;
    double size_ = 0;  // of the largest value
};

PooledVariance pooled(SQLite::Statement& query) {
    PooledVariance variance;
    while (query.executeStep()) {
        variance.add(query.getColumn(0).getString(), query.getColumn(1).getDouble());
    }
    return variance;
}

// The values or differences of a metric on the test part. What a run that learned nothing differs by is no spread of what is
// compared.
SQLite::Statement measured(SQLite::Database& database, const std::string& column, const std::string& metric,
                           const std::string& condition, const std::string& parameter) {
    SQLite::Statement query(database, "SELECT variant_id, " + column +
                                          " FROM metric_result WHERE metric = ? AND part = 'test' AND "
                                          "is_ensemble = 0 AND collapsed = 0 AND " +
                                          condition + " AND " + column + " IS NOT NULL");
    query.bind(1, metric);
    query.bind(2, parameter);
    return query;
}

// Of rows (variant, difference); nothing if no variant has two.
std::optional<DifferenceSpread> spread_of_differences(SQLite::Statement& query, const char* whose) {
    const auto found = pooled(query);
    const auto deviation = found.deviation();
    if (!deviation) {
        return std::nullopt;
    }
    return DifferenceSpread{*deviation,
                            fmt::format("{} of {} {}", counted(found.values(), "difference"),
                                        counted(found.groups(), "variant"), whose),
                            found.size()};
}

}  // namespace

std::optional<StudyRecord> stored_record(SQLite::Database& database, const std::string& study) {
    StudyRecord record;
    record.name = study;
    SQLite::Statement text(database, "SELECT toml FROM studies WHERE name = ?");
    text.bind(1, study);
    if (!text.executeStep()) {
        return std::nullopt;
    }
    record.given = given_fields(text.getColumn(0).getString());
    SQLite::Statement query(
        database,
        "SELECT variants.id, stages.name, variants.name, variants.config, jobs.identity, "
        "variants.is_ensemble, "
        "variants.change "
        "FROM studies JOIN stages ON stages.study_id = studies.id "
        "JOIN variants ON variants.stage_id = stages.id "
        "LEFT JOIN variant_jobs ON variant_jobs.variant_id = variants.id "
        "LEFT JOIN jobs ON jobs.id = variant_jobs.job_id "
        "WHERE studies.name = ? AND variants.hidden = 0 "
        "ORDER BY stages.position, variants.position, variants.id, variant_jobs.seed_index");
    query.bind(1, study);
    std::int64_t variant = -1;
    while (query.executeStep()) {
        if (query.getColumn(0).getInt64() != variant) {
            variant = query.getColumn(0).getInt64();
            VariantRecord& row = record.variants.emplace_back();
            row.stage = query.getColumn(1).getString();
            row.name = query.getColumn(2).getString();
            row.is_ensemble = query.getColumn(5).getInt() != 0;
            row.config = row.is_ensemble ? Json{{"ensemble", query.getColumn(6).getString()}}
                                         : Json::parse(query.getColumn(3).getString());
        }
        if (VariantRecord& row = record.variants.back(); !row.is_ensemble && !query.getColumn(4).isNull()) {
            row.identities.push_back(query.getColumn(4).getString());
        }
    }
    return record;
}

std::set<std::string> jobs_with_result(SQLite::Database& database) {
    SQLite::Statement query(database, "SELECT identity FROM jobs WHERE state = 'succeeded'");
    std::set<std::string> identities;
    while (query.executeStep()) {
        identities.insert(query.getColumn(0).getString());
    }
    return identities;
}

std::string difference_to_stored(const Study& study, SQLite::Database& database, const DryRun& planned) {
    const auto stored = stored_record(database, study.name);
    if (name_conflict(study, database) || !stored || stored->variants.empty()) {
        return {};
    }
    const auto record = record_of(study, planned.stages);
    std::string text;
    for (const auto& difference : compare(*stored, record)) {
        if (difference.kind != VariantDifference::Kind::unchanged) {
            text = "since the last run of this study:\n" +
                   render_difference(*stored, record, jobs_with_result(database));
            break;
        }
    }
    for (std::size_t place = 0; !text.empty() && place < planned.stages.size(); ++place) {
        if (!planned.stages[place].is_certain && !planned.stages[place].start.empty()) {
            text += "stage " + study.stages[place].name +
                    " is shown beside the best of the results so far; jobs that are still to run may change "
                    "it\n";
        }
    }
    return text;
}

std::unordered_map<std::string, JobState> job_states(SQLite::Database& database) {
    SQLite::Statement query(database, "SELECT identity, state FROM jobs");
    std::unordered_map<std::string, JobState> states;
    while (query.executeStep()) {
        if (const auto state = enum_from_name<JobState>(query.getColumn(1).getString())) {
            states.emplace(query.getColumn(0).getString(), *state);
        }
    }
    return states;
}

std::optional<DifferenceSpread> difference_spread(SQLite::Database& database, const Study& study) {
    const std::string& metric = study.stages.back().primary_metric;
    auto of_study =
        measured(database, "difference", metric, "baseline_collapsed = 0 AND study = ?", study.name);
    if (auto found = spread_of_differences(of_study, "of this study"); found || study.is_of_command()) {
        return found;
    }
    const std::string same_data =
        "EXISTS (SELECT 1 FROM results WHERE results.job_id = metric_result.job AND data_sha256 = ?)";
    auto of_data = measured(database, "difference", metric, "baseline_collapsed = 0 AND " + same_data,
                            study.base.data.sha256);
    if (auto found = spread_of_differences(of_data, "on the same data")) {
        return found;
    }
    auto of_jobs = measured(database, "value", metric, same_data, study.base.data.sha256);
    if (const auto found = pooled(of_jobs); found.deviation()) {
        return DifferenceSpread{
            *found.deviation() * std::sqrt(2.0),
            fmt::format("{} of {} on the same data, as if seeds were no pairs",
                        counted(found.values(), "job"), counted(found.groups(), "variant")),
            found.size()};
    }
    return std::nullopt;
}

}  // namespace orchestrate
