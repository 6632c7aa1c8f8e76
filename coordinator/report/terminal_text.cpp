#include "coordinator/report/terminal_text.h"

#include <utility>

#include "results/display_width.h"

namespace orchestrate {
namespace {

// How many bytes at the end may be the beginning of a UTF-8 character or of a line end.
std::size_t unfinished_bytes(std::string_view text) {
    if (text.ends_with('\r')) {
        return 1;
    }
    for (std::size_t length = 1; length <= 3 && length <= text.size(); ++length) {
        const auto byte = static_cast<unsigned char>(text[text.size() - length]);
        if (byte >= 0xC0) {
            const std::size_t whole = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
            return length < whole ? length : 0;
        }
        if (byte < 0x80) {
            return 0;
        }
    }
    return 0;
}

std::string with_plain_line_ends(std::string_view text) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\r') {
            result += text[i];
        } else if (i + 1 == text.size() || text[i + 1] != '\n') {
            result += '\n';
        }
    }
    return result;
}

}  // namespace

std::string TerminalText::add(std::string_view bytes) {
    std::string text = std::exchange(held_back_, {}).append(bytes);
    const std::size_t unfinished = unfinished_bytes(text);
    held_back_ = text.substr(text.size() - unfinished);
    text.resize(text.size() - unfinished);
    return escaped_lines(with_plain_line_ends(text));
}

std::string TerminalText::finish() {
    return escaped_lines(with_plain_line_ends(std::exchange(held_back_, {})));
}

}  // namespace orchestrate
