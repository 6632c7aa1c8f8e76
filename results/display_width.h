// How wide text is on a terminal, and how to make it fit: Unicode, by grapheme clusters (ICU).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace orchestrate {

// Terminal columns that UTF-8 text takes: 2 for East Asian wide characters and emoji, 0 for combining marks.
std::size_t display_width(std::string_view text);

// The text itself if it fits into `width` columns, else its beginning and an ellipsis; never wider than
// `width`.
std::string shortened(std::string_view text, std::size_t width);

// A value as one line of a table, nothing of it left out (printable() of common/base/printable.h is for messages): control
// characters and those that change the direction of text as \n, \t,
// \x1b, \u202e..., bytes that are not UTF-8 as U+FFFD.
std::string escaped(std::string_view text);

// The same for a text of several lines: newlines and tabs stay.
std::string escaped_lines(std::string_view text);

// The text with spaces behind it, up to `width` columns.
std::string padded(std::string_view text, std::size_t width);

// Sentences broken at spaces into lines of at most `width` columns (0: one line), continued lines indented by
// two more than the first. Words wider than a line stay whole. Ends with a newline.
std::string wrapped(std::string_view text, std::size_t width);

// For sentences beside a table that may be wider: lines as long as a terminal's of `max_width` columns, or, where that is
// not known (0), of 80.
std::string wrapped_note(std::string_view text, std::size_t max_width);

}  // namespace orchestrate
