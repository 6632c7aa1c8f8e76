// The few questions about UTF-8 text that data files raise (ICU).
#pragma once

#include <string>
#include <string_view>

namespace orchestrate {

bool is_valid_utf8(std::string_view text);

// Without white space at both ends, in lower case by Unicode's rules that depend on no language. `text` is
// valid UTF-8.
std::string trimmed_lower_case(std::string_view text);

}  // namespace orchestrate
