// What a reader of a comparison table must know besides its numbers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>

#include "results/stage_rows.h"

namespace orchestrate {

// Sentences on the jobs of a stage's visible variants: not done, failed (with cause and where to look),
// collapsed, shared, run on mixed device classes or different data, leaks between the parts, variants hidden.
std::vector<std::string> comparison_notes(SQLite::Database& database, std::int64_t stage_id,
                                          const StageRows& stage);

}  // namespace orchestrate
