#include "coordinator/store/stage_metrics.h"

namespace orchestrate {
namespace {

// The metric of a job, as an SQL expression; `job` is one for its number. ?1 is the part, ?4 the name of a command's own
// metric. A run that collapsed onto one class is never chosen.
std::string value_of(const std::string& job, SelectionMetric metric, const std::string& name) {
    // The names of the enumeration are those of the columns.
    return name.empty()
               ? "(SELECT CASE WHEN r.collapsed = 0 THEN m." + to_string(metric) +
                     " END FROM part_metrics m JOIN results r ON r.job_id = m.job_id "
                     "WHERE m.part = ?1 AND m.job_id = " +
                     job + ")"
               : "(SELECT m.value FROM named_metrics m WHERE m.part = ?1 AND m.name = ?4 AND m.job_id = " +
                     job + ")";
}

void bind_choice(SQLite::Statement& query, StudyId study, const std::string& stage, SelectionPart part,
                 const std::string& name) {
    query.bind(1, to_string(part));
    query.bind(2, study.value());
    query.bind(3, stage);
    if (!name.empty()) {
        query.bind(4, name);
    }
}

}  // namespace

std::vector<std::optional<double>> mean_metric(SQLite::Database& database, StudyId study,
                                               const std::string& stage, SelectionMetric metric,
                                               SelectionPart part, const std::string& name) {
    SQLite::Statement query(
        database, "SELECT avg(" + value_of("j.job_id", metric, name) +
                      ") FROM variants v JOIN stages s ON s.id = v.stage_id "
                      "LEFT JOIN variant_jobs j ON j.variant_id = v.id "
                      "WHERE s.study_id = ?2 AND s.name = ?3 AND v.hidden = 0 AND v.is_ensemble = 0 "
                      "GROUP BY v.id ORDER BY v.position");
    bind_choice(query, study, stage, part, name);
    std::vector<std::optional<double>> means;
    while (query.executeStep()) {
        const auto mean = query.getColumn(0);
        means.push_back(mean.isNull() ? std::nullopt : std::optional(mean.getDouble()));
    }
    return means;
}

std::vector<std::optional<MeasuredDifference>> differences(SQLite::Database& database, StudyId study,
                                                           const std::string& stage, SelectionMetric metric,
                                                           SelectionPart part, const std::string& name) {
    SQLite::Statement query(
        database,
        "SELECT v.id, " + value_of("j.job_id", metric, name) + " - " + value_of("b.job_id", metric, name) +
            " FROM variants v JOIN stages s ON s.id = v.stage_id "
            "LEFT JOIN variant_jobs j ON j.variant_id = v.id AND v.is_baseline = 0 "
            "LEFT JOIN variants base ON base.stage_id = v.stage_id AND base.is_baseline = 1 AND base.hidden "
            "= 0 "
            "LEFT JOIN variant_jobs b ON b.variant_id = base.id AND b.seed_index = j.seed_index "
            "WHERE s.study_id = ?2 AND s.name = ?3 AND v.hidden = 0 AND v.is_ensemble = 0 ORDER BY "
            "v.position, j.seed_index");
    bind_choice(query, study, stage, part, name);
    std::vector<std::vector<double>> values;
    std::int64_t variant = -1;
    while (query.executeStep()) {
        if (query.getColumn(0).getInt64() != variant) {
            variant = query.getColumn(0).getInt64();
            values.emplace_back();
        }
        if (!query.getColumn(1).isNull()) {
            values.back().push_back(query.getColumn(1).getDouble());
        }
    }
    std::vector<std::optional<MeasuredDifference>> result;
    result.reserve(values.size());
    for (const auto& of_variant : values) {
        result.push_back(measured_difference(of_variant));
    }
    return result;
}

}  // namespace orchestrate
