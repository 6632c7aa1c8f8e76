// Text of users and files in messages and tables: what would break a line is shown as TOML writes it.
#pragma once

#include <string>

namespace orchestrate {

// The text, with control characters (line breaks, tabs, NUL, escape) as \n, \t, \u0000, and bytes that are not UTF-8 as
// \xFF.
std::string escaped_text(const std::string& text);

bool has_control_characters(const std::string& text);

}  // namespace orchestrate
