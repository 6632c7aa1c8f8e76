#include "coordinator/studies/stage_start.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/base/counted.h"

namespace orchestrate {
namespace {

// Why no variant of an earlier stage can be the baseline: none has a result, or none that may be chosen.
std::string why_no_best(const Stage& stage, std::int64_t study_row, JobStore& store) {
    std::int64_t succeeded = 0;
    for (const auto& jobs : store.jobs_of_variants(study_row, stage.baseline_stage)) {
        succeeded += std::count_if(jobs.begin(), jobs.end(),
                                   [&](std::int64_t job) { return store.has_succeeded(job); });
    }
    const std::string consequence = ", so stage '" + stage.name + "' has no baseline to start from";
    if (succeeded == 0) {
        return "no run of stage '" + stage.baseline_stage + "' succeeded" + consequence;
    }
    return fmt::format("none of the {} of stage '{}' that succeeded has a usable {}{}{}",
                       counted(succeeded, "run"), stage.baseline_stage, stage.selection(),
                       stage.select_name.empty() ? " (all collapsed, see the table)" : "", consequence);
}

// Nothing (noted) if no run of that earlier stage can be chosen.
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
        notes.push_back(why_no_best(stage, study_row, store));
        return std::nullopt;
    }
    notes.push_back(fmt::format("best of {}: {} ({}), {} {:.4f}", stage.baseline_stage,
                                variants.at(*best).name, variants[*best].change, stage.selection(),
                                *metrics[*best]));
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
