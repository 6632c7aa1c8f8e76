// Finds a study and one of its stages by name, with help for the mistyped.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <SQLiteCpp/SQLiteCpp.h>

namespace orchestrate {

struct StageReference {
    std::int64_t stage_id = 0;
    std::string study;
    std::string stage;
};

// The stage of that name, or without one the last stage that has variants to show (the first if none has).
// Throws UserError if there is no such study or stage, with the nearest name.
StageReference find_stage(SQLite::Database& database, const std::string& study,
                          const std::optional<std::string>& stage);

}  // namespace orchestrate
