// The few questions about UTF-8 text that data files and messages raise.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace orchestrate {

bool is_valid_utf8(std::string_view text);

struct Character {
    std::uint32_t code = 0;  // code point
    std::size_t bytes = 0;   // that it takes; 0: the text does not begin with valid UTF-8
};

// The character that a text which is not empty begins with.
Character first_character(std::string_view text);

// The value of a decimal digit of any script, 0 to 9; -1: it is none.
int decimal_digit(std::uint32_t code);

// Of code points: C0 and C1 controls, and delete.
inline bool is_control(std::uint32_t code) {
    return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

// Without white space at both ends, in lower case by Unicode's rules that depend on no language. `text` is
// valid UTF-8.
std::string trimmed_lower_case(std::string_view text);

}  // namespace orchestrate
