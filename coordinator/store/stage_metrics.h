// What stages are chosen by: reads only. JobStore has the same calls, and their contracts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>

#include "common/job/ids.h"
#include "coordinator/store/row_choice.h"
#include "experiments/expansion/study.h"

namespace orchestrate {

std::vector<std::optional<double>> mean_metric(SQLite::Database& database, StudyId study,
                                               const std::string& stage, SelectionMetric metric,
                                               SelectionPart part, const std::string& name);

std::vector<std::optional<MeasuredDifference>> differences(SQLite::Database& database, StudyId study,
                                                           const std::string& stage, SelectionMetric metric,
                                                           SelectionPart part, const std::string& name);

}  // namespace orchestrate
