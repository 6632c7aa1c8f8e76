// What one field of a table may stand for.
#pragma once

#include <optional>
#include <string_view>

namespace orchestrate {

// A finite decimal number ("-6.7", "+2", "1e-06"), white space round it ignored; the point is '.' everywhere.
std::optional<double> finite_number(std::string_view text);

// true/false or yes/no in any case, white space round it ignored.
std::optional<bool> truth_value(std::string_view text);

}  // namespace orchestrate
