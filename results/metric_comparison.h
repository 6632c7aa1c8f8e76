// The comparison of a stage whose jobs are commands: metrics under names of their own. Internal to results/.
#pragma once

#include <cstddef>
#include <string>

#include "results/stage_rows.h"

namespace orchestrate {

// Per variant each declared metric of the test part as mean +- standard deviation over seeds, the difference of the
// first to the baseline, and jobs; below it what the numbers are. `max_width`: as in tables.h. The stage has at least one
// variant and one metric.
std::string metric_table(const StageRows& stage, std::size_t max_width);

}  // namespace orchestrate
