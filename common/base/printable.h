// Text from outside (what jobs print, names of metrics, hosts and files, output of other programs) on its way into
// messages, logs and tables: a terminal that shows the result does nothing but show it.
#pragma once

#include <string>
#include <string_view>

namespace orchestrate {

// One line of valid UTF-8 without control characters. Escape sequences of terminals (colours, titles) are removed; a
// newline becomes "\n", another control character "\x07" or the like, as do characters that change the direction of
// text; bytes that are not UTF-8 become U+FFFD. Tabs become spaces unless `keep_tabs`.
std::string printable(std::string_view text, bool keep_tabs = false);

// The same of each line of a text; newlines between lines stay.
std::string printable_lines(std::string_view text, bool keep_tabs = false);

}  // namespace orchestrate
