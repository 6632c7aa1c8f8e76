#include "coordinator/store/stage_metrics.h"

#include <unordered_map>

namespace orchestrate {
namespace {

struct StageVariants {
    std::int64_t stage = 0;
    std::vector<std::int64_t> ids;                         // in the order of the stage
    std::unordered_map<std::int64_t, std::size_t> places;  // by id
};

// Without ensembles: they are not selected.
StageVariants variants_of(SQLite::Database& database, StudyId study, const std::string& stage) {
    SQLite::Statement query(database,
                            "SELECT v.id, s.id FROM stages s JOIN variants v ON v.stage_id = s.id "
                            "WHERE s.study_id = ? AND s.name = ? AND v.hidden = 0 AND v.is_ensemble = 0 "
                            "ORDER BY v.position");
    query.bind(1, study.value());
    query.bind(2, stage);
    StageVariants variants;
    while (query.executeStep()) {
        variants.places.emplace(query.getColumn(0).getInt64(), variants.ids.size());
        variants.ids.push_back(query.getColumn(0).getInt64());
        variants.stage = query.getColumn(1).getInt64();
    }
    return variants;
}

SQLite::Statement results_of(SQLite::Database& database, const std::string& columns,
                             const std::string& condition, std::int64_t stage, const MetricKey& metric) {
    SQLite::Statement query(database,
                            "SELECT " + columns +
                                " FROM metric_result WHERE stage_id = ? AND part = ? AND metric = ? "
                                "AND collapsed = 0 " +
                                condition);
    query.bind(1, stage);
    query.bind(2, to_string(metric.part));
    query.bind(3, metric.name);
    return query;
}

}  // namespace

std::vector<std::optional<double>> mean_metric(SQLite::Database& database, StudyId study,
                                               const std::string& stage, const MetricKey& metric) {
    const StageVariants variants = variants_of(database, study, stage);
    std::vector<std::optional<double>> means(variants.ids.size());
    auto query =
        results_of(database, "variant_id, avg(value)", "GROUP BY variant_id", variants.stage, metric);
    while (query.executeStep()) {
        if (const auto found = variants.places.find(query.getColumn(0).getInt64());
            found != variants.places.end()) {
            means[found->second] = query.getColumn(1).getDouble();
        }
    }
    return means;
}

std::vector<std::optional<MeasuredDifference>> differences(SQLite::Database& database, StudyId study,
                                                           const std::string& stage,
                                                           const MetricKey& metric) {
    const StageVariants variants = variants_of(database, study, stage);
    std::vector<std::vector<double>> values(variants.ids.size());
    auto query = results_of(database, "variant_id, difference",
                            "AND baseline_collapsed = 0 AND seed_index >= 0 AND difference IS NOT NULL "
                            "ORDER BY variant_id, seed_index",
                            variants.stage, metric);
    while (query.executeStep()) {
        if (const auto found = variants.places.find(query.getColumn(0).getInt64());
            found != variants.places.end()) {
            values[found->second].push_back(query.getColumn(1).getDouble());
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
