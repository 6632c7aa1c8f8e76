#include "coordinator/stage_start.h"

#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "results/number_text.h"

namespace orchestrate {
namespace {

// Nothing (noted) if no run of that earlier stage succeeded.
std::optional<JobConfig> baseline_of(const Study& study, const Stage& stage, std::int64_t study_row,
                                     const VariantsOfStages& earlier, JobStore& store,
                                     std::vector<std::string>& notes) {
    if (stage.baseline_stage.empty()) {
        return study.base;
    }
    const auto& variants = earlier.at(stage.baseline_stage);
    const auto metrics = store.mean_metric(study_row, stage.baseline_stage, stage.select_by,
                                           stage.select_part, stage.select_name);
    const auto best = best_variant(metrics, stage.goal_of(stage.select_name));
    if (!best) {
        notes.push_back("no run of stage '" + stage.baseline_stage + "' succeeded, so stage '" + stage.name +
                        "' has no baseline to start from");
        return std::nullopt;
    }
    notes.push_back(fmt::format("best of {}: {} ({}), {} {}", stage.baseline_stage, variants.at(*best).name,
                                variants[*best].change, stage.selection(), fixed_number(*metrics[*best], 4)));
    return variants[*best].config;
}

std::vector<Variant> rows_of(const Stage& stage, std::int64_t study_row, const VariantsOfStages& earlier,
                             JobStore& store, std::vector<std::string>& notes) {
    const auto& variants = earlier.at(stage.rows_stage);
    std::vector<Variant> rows;
    std::vector<std::string> names;
    const auto differences =
        store.differences(study_row, stage.rows_stage, stage.rows_by, stage.rows_part, stage.rows_name);
    for (const std::size_t place : choose_rows(stage, differences)) {
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
                          const VariantsOfStages& earlier, JobStore& store) {
    StageStart start;
    if (const auto baseline = baseline_of(study, stage, study_row, earlier, store, start.notes)) {
        start.variants =
            stage.rows_stage.empty()
                ? study.expand(stage, *baseline)
                : study.expand(stage, *baseline, rows_of(stage, study_row, earlier, store, start.notes));
    }
    return start;
}

}  // namespace orchestrate
