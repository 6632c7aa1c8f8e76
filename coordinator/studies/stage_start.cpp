#include "coordinator/studies/stage_start.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/base/counted.h"
#include "coordinator/store/stage_metrics.h"
#include "results/number_text.h"

namespace orchestrate {
namespace {

// Why no variant of an earlier stage can be the baseline: none has a result, or none that may be chosen.
std::string why_no_best(const Stage& stage, bool is_of_command, StudyId study_row,
                        SQLite::Database& database) {
    SQLite::Statement query(database,
                            "SELECT count(DISTINCT jobs.id) FROM stages JOIN variants ON variants.stage_id = "
                            "stages.id AND variants.hidden = 0 AND variants.is_ensemble = 0 "
                            "JOIN variant_jobs ON variant_jobs.variant_id = variants.id "
                            "JOIN jobs ON jobs.id = variant_jobs.job_id AND jobs.state = 'succeeded' "
                            "WHERE stages.study_id = ? AND stages.name = ?");
    query.bind(1, study_row.value());
    query.bind(2, stage.baseline_stage);
    query.executeStep();
    const std::int64_t succeeded = query.getColumn(0).getInt64();
    const std::string consequence = ", so stage '" + stage.name + "' has no baseline to start from";
    if (succeeded == 0) {
        return "no run of stage '" + stage.baseline_stage + "' succeeded" + consequence;
    }
    return fmt::format("none of the {} of stage '{}' that succeeded has a usable {}{}{}",
                       counted(succeeded, "run"), stage.baseline_stage, to_string(stage.select_by),
                       is_of_command ? "" : " (all collapsed, see the table)", consequence);
}

// Nothing (noted) if no run of that earlier stage can be chosen.
std::optional<JobConfig> baseline_of(const Study& study, const Stage& stage, StudyId study_row,
                                     const VariantsOfStages& earlier, SQLite::Database& database,
                                     std::vector<std::string>& notes) {
    if (stage.baseline_stage.empty()) {
        return study.base;
    }
    const auto& variants = earlier.at(stage.baseline_stage);
    const auto metrics = mean_metric(database, study_row, stage.baseline_stage, stage.select_by);
    const auto best = best_variant(metrics, stage.goal_of(stage.select_by.name));
    if (!best) {
        notes.push_back(why_no_best(stage, study.is_of_command(), study_row, database));
        return std::nullopt;
    }
    notes.push_back(fmt::format("best of {}: {} ({}), {} {}", stage.baseline_stage, variants.at(*best).name,
                                variants[*best].change, to_string(stage.select_by),
                                fixed_number(*metrics[*best], 4)));
    return variants[*best].config;
}

std::vector<Variant> rows_of(const Stage& stage, StudyId study_row, const VariantsOfStages& earlier,
                             SQLite::Database& database, std::vector<std::string>& notes) {
    const auto& variants = earlier.at(stage.rows_stage);
    std::vector<Variant> rows;
    std::vector<std::string> names;
    const auto measured = differences(database, study_row, stage.rows_stage, stage.rows_by);
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

StageStart start_of_stage(const Study& study, const Stage& stage, StudyId study_row,
                          const VariantsOfStages& earlier, SQLite::Database& database) {
    StageStart start;
    start.baseline = baseline_of(study, stage, study_row, earlier, database, start.notes);
    if (start.baseline && !stage.rows_stage.empty()) {
        start.rows = rows_of(stage, study_row, earlier, database, start.notes);
    }
    return start;
}

StageStart start_of_stage(const Study& study, const Stage& stage, StudyId study_row,
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
