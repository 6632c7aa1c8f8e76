#include "common/base/printable.h"

#include <cstdint>

#include <fmt/format.h>

#include "common/base/unicode.h"

namespace orchestrate {
namespace {

constexpr char kEscape = '\x1b';
constexpr char kBell = '\x07';
constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

// Bytes of the escape sequence that `text` begins with; 1 if it is none that is known or it does not end.
std::size_t escape_sequence_length(std::string_view text) {
    if (text.size() < 2) {
        return 1;
    }
    const char kind = text[1];
    const auto is_between = [](char c, char first, char last) { return c >= first && c <= last; };
    if (kind == '[') {
        for (std::size_t i = 2; i < text.size(); ++i) {
            if (is_between(text[i], '\x40', '\x7e')) {
                return i + 1;
            }
            if (!is_between(text[i], '\x20', '\x3f')) {
                return 1;
            }
        }
        return 1;
    }
    if (kind == ']' || kind == 'P' || kind == 'X' || kind == '^' ||
        kind == '_') {  // up to BEL or ESC backslash
        for (std::size_t i = 2; i < text.size(); ++i) {
            if (text[i] == kBell) {
                return i + 1;
            }
            if (text[i] == kEscape) {
                return i + 1 < text.size() && text[i + 1] == '\\' ? i + 2 : 1;
            }
        }
        return 1;
    }
    std::size_t i = 1;
    while (i < text.size() && is_between(text[i], '\x20', '\x2f')) {
        ++i;
    }
    return i < text.size() && is_between(text[i], '\x30', '\x7e') ? i + 1 : 1;
}

// Controls, separators of lines, and marks that change the direction of text.
bool is_active(std::uint32_t code) {
    return is_control(code) || code == 0x61c || code == 0x200e || code == 0x200f ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

std::string visible(std::uint32_t code, bool keep_tabs) {
    switch (code) {
        case '\n':
            return "\\n";
        case '\r':
            return "\\r";
        case '\t':
            return keep_tabs ? "\t" : " ";
        default:
            return code < 0x80 ? fmt::format("\\x{:02x}", code) : fmt::format("\\u{:04x}", code);
    }
}

}  // namespace

std::string printable(std::string_view text, bool keep_tabs) {
    std::string result;
    result.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        if (text[at] == kEscape) {
            if (const std::size_t length = escape_sequence_length(text.substr(at)); length > 1) {
                at += length;
                continue;
            }
        }
        const auto [code, length] = first_character(text.substr(at));
        if (length == 0) {
            result += kReplacement;
        } else if (is_active(code)) {
            result += visible(code, keep_tabs);
        } else {
            result += text.substr(at, length);
        }
        at += length == 0 ? 1 : length;
    }
    return result;
}

std::string printable_lines(std::string_view text, bool keep_tabs) {
    std::string result;
    while (true) {
        const std::size_t end = text.find('\n');
        result += printable(text.substr(0, end), keep_tabs);
        if (end == std::string_view::npos) {
            return result;
        }
        result += '\n';
        text.remove_prefix(end + 1);
    }
}

}  // namespace orchestrate
