// The nearest valid name for a mistyped one, for "did you mean ...?".
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace orchestrate {

// The candidate with the smallest Damerau-Levenshtein distance (optimal string alignment, case-insensitive), if it
// is near enough to be what was meant: at most a third of the longer name's length, or a candidate that contains it.
std::optional<std::string> nearest_name(std::string_view found, std::span<const std::string> candidates);

}  // namespace orchestrate
