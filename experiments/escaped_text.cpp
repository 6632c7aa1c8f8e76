#include "experiments/escaped_text.h"

#include <algorithm>

#include <fmt/format.h>

#include "common/unicode.h"

namespace orchestrate {
namespace {

bool is_control(unsigned char byte) {
    return byte < 0x20 || byte == 0x7F;
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

// Bytes of the UTF-8 character that begins there; 0 if none does.
std::size_t length_of_character(const std::string& text, std::size_t at) {
    for (std::size_t length = 1; length <= 4 && at + length <= text.size(); ++length) {
        if (is_valid_utf8(std::string_view(text).substr(at, length))) {
            return length;
        }
    }
    return 0;
}

}  // namespace

bool has_control_characters(const std::string& text) {
    return std::any_of(text.begin(), text.end(),
                       [](char c) { return is_control(static_cast<unsigned char>(c)); });
}

std::string escaped_text(const std::string& text) {
    const bool is_valid = is_valid_utf8(text);
    if (is_valid && !has_control_characters(text)) {
        return text;
    }
    std::string result;
    for (std::size_t i = 0; i < text.size();) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const std::size_t length = is_valid && byte < 0x80 ? 1 : length_of_character(text, i);
        if (length == 0) {
            result += fmt::format("\\x{:02X}", static_cast<unsigned>(byte));
            ++i;
            continue;
        }
        result += is_control(byte) ? escape_of(byte) : text.substr(i, length);
        i += length;
    }
    return result;
}

}  // namespace orchestrate
