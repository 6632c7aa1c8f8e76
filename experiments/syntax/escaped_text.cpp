#include "experiments/syntax/escaped_text.h"

#include <algorithm>

#include <fmt/format.h>

#include "common/base/unicode.h"

namespace orchestrate {
namespace {

// One that takes one byte.
bool is_short_control(unsigned char byte) {
    return byte < 0x80 && is_control(byte);
}

std::string escape_of(unsigned char byte) {
    switch (byte) {
        case '\n':
            return "\\n";
        case '\r':
            return "\\r";
        case '\t':
            return "\\t";
        default:
            return fmt::format("\\u{:04X}", static_cast<unsigned>(byte));
    }
}

}  // namespace

bool has_control_characters(const std::string& text) {
    return std::any_of(text.begin(), text.end(),
                       [](char c) { return is_short_control(static_cast<unsigned char>(c)); });
}

std::string escaped_text(const std::string& text) {
    if (is_valid_utf8(text) && !has_control_characters(text)) {
        return text;
    }
    std::string result;
    for (std::size_t i = 0; i < text.size();) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const std::size_t bytes = first_character(std::string_view(text).substr(i)).bytes;
        if (bytes == 0) {
            result += fmt::format("\\x{:02X}", static_cast<unsigned>(byte));
            ++i;
            continue;
        }
        result += is_short_control(byte) ? escape_of(byte) : text.substr(i, bytes);
        i += bytes;
    }
    return result;
}

}  // namespace orchestrate
