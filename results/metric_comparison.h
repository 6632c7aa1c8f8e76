// The comparison of a stage whose jobs are commands: metrics under names of their own. Internal to results/.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>

namespace orchestrate {

// Whether the stage's jobs report metrics of their own.
bool has_named_metrics(SQLite::Database& database, std::int64_t stage_id);

// Per variant each declared metric of the test part as mean +- standard deviation over seeds, the difference of the
// first to the baseline, and jobs; below it what the numbers are. `max_width`: as in tables.h.
std::string metric_table(SQLite::Database& database, std::int64_t stage_id, std::size_t max_width);

}  // namespace orchestrate
