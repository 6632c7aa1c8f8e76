#include "coordinator/stage_start.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "coordinator/stage_metrics.h"

namespace orchestrate {
namespace {

// Nothing (noted) if no run of that earlier stage succeeded.
std::optional<JobConfig> baseline_of(const Study& study, const Stage& stage, std::int64_t study_row,
                                     const VariantsOfStages& earlier, SQLite::Database& database,
                                     std::vector<std::string>& notes) {
    if (stage.baseline_stage.empty()) {
        return study.base;
    }
    const auto& variants = earlier.at(stage.baseline_stage);
    const auto metrics = mean_metric(database, study_row, stage.baseline_stage, stage.select_by,
                                     stage.select_part, stage.select_name);
    const auto best = best_variant(metrics, stage.goal_of(stage.select_name));
    if (!best) {
        notes.push_back("no run of stage '" + stage.baseline_stage + "' succeeded, so stage '" + stage.name +
                        "' has no baseline to start from");
        return std::nullopt;
    }
    notes.push_back(fmt::format("best of {}: {} ({}), {} {:.4f}", stage.baseline_stage,
                                variants.at(*best).name, variants[*best].change, stage.selection(),
                                *metrics[*best]));
    return variants[*best].config;
}

std::vector<Variant> rows_of(const Stage& stage, std::int64_t study_row, const VariantsOfStages& earlier,
                             SQLite::Database& database, std::vector<std::string>& notes) {
    const auto& variants = earlier.at(stage.rows_stage);
    std::vector<Variant> rows;
    std::vector<std::string> names;
    const auto measured =
        differences(database, study_row, stage.rows_stage, stage.rows_by, stage.rows_part, stage.rows_name);
    for (const std::size_t place : choose_rows(stage, measured)) {
        rows.push_back(variants.at(place));
        names.push_back(variants[place].name);
    }
    notes.push_back(rows.empty() ? fmt::format("no row of {} is left for stage {} to go on with",
                                               stage.rows_stage, stage.name)
                                 : fmt::format("{} goes on with: {}", stage.name, fmt::join(names, "; ")));
    return rows;
}

}  // namespace

StageStart start_of_stage(const Study& study, const Stage& stage, std::int64_t study_row,
                          const VariantsOfStages& earlier, SQLite::Database& database) {
    StageStart start;
    start.baseline = baseline_of(study, stage, study_row, earlier, database, start.notes);
    if (start.baseline && !stage.rows_stage.empty()) {
        start.rows = rows_of(stage, study_row, earlier, database, start.notes);
    }
    return start;
}

StageStart start_of_stage(const Study& study, const Stage& stage, std::int64_t study_row,
                          const VariantsOfStages& earlier, JobStore& store) {
    return store.read([&](SQLite::Database& database) {
        return start_of_stage(study, stage, study_row, earlier, database);
    });
}

std::vector<Variant> variants_of_stage(const Study& study, const Stage& stage, const StageStart& start,
                                       const std::atomic<bool>* abandoned) {
    return start.baseline ? study.expand(stage, *start.baseline, start.rows, abandoned)
                          : std::vector<Variant>{};
}

}  // namespace orchestrate
