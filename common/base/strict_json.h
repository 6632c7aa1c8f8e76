// JSON of files that others wrote: what lenient parsers let pass (a name twice in one object, endless nesting) is
// refused.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "common/base/json.h"

namespace orchestrate {

// The object that `text` holds. Throws UserError, which begins with `name`, if it is no JSON object, is not UTF-8,
// names something twice in one object, or is nested deeper than `max_levels`.
Json parse_strict_json(std::string_view text, const std::string& name, int max_levels = 16);

// The same of a file of at most `max_bytes`; its path is the name.
Json read_strict_json(const std::filesystem::path& path, std::size_t max_bytes = 64U << 20);

}  // namespace orchestrate
