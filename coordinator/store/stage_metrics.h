// What stages are selected by, read through the view `metric_result`. JobStore has the same calls, and their contracts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>

#include "common/job/ids.h"
#include "common/metrics/metric.h"
#include "coordinator/store/row_choice.h"

namespace orchestrate {

std::vector<std::optional<double>> mean_metric(SQLite::Database& database, StudyId study,
                                               const std::string& stage, const MetricKey& metric);

std::vector<std::optional<MeasuredDifference>> differences(SQLite::Database& database, StudyId study,
                                                           const std::string& stage, const MetricKey& metric);

}  // namespace orchestrate
