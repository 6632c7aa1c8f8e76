#include "results/display_width.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>

#include <fmt/format.h>
#include <unicode/brkiter.h>
#include <unicode/uchar.h>
#include <unicode/utext.h>
#include <unicode/utf8.h>

namespace orchestrate {
namespace {

constexpr UChar32 kEmojiPresentationSelector = 0xFE0F;
constexpr std::string_view kEllipsis = "\u2026";

bool is_plain_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
}

std::size_t code_point_width(UChar32 code_point) {
    switch (u_charType(code_point)) {
        case U_NON_SPACING_MARK:
        case U_ENCLOSING_MARK:
        case U_FORMAT_CHAR:
        case U_CONTROL_CHAR:
            return 0;
        default:
            break;
    }
    switch (u_getIntPropertyValue(code_point, UCHAR_EAST_ASIAN_WIDTH)) {
        case U_EA_WIDE:
        case U_EA_FULLWIDTH:
            return 2;
        default:
            return 1;
    }
}

// A cluster is drawn in one place: it is as wide as its widest part, an emoji sequence or a flag two columns.
std::size_t cluster_width(std::string_view cluster) {
    std::size_t width = 0;
    int flag_letters = 0;
    bool emoji = false;
    const auto length = static_cast<std::int32_t>(cluster.size());
    for (std::int32_t position = 0; position < length;) {
        UChar32 code_point = 0;
        U8_NEXT(cluster.data(), position, length, code_point);
        if (code_point < 0) {
            code_point = 0xFFFD;
        }
        width = std::max(width, code_point_width(code_point));
        flag_letters += u_hasBinaryProperty(code_point, UCHAR_REGIONAL_INDICATOR) ? 1 : 0;
        emoji = emoji || code_point == kEmojiPresentationSelector;
    }
    return emoji || flag_letters == 2 ? 2 : width;
}

// Calls `visit(cluster, width)` for each grapheme cluster until it returns false.
template <class Visit>
void for_each_cluster(std::string_view text, Visit visit) {
    UErrorCode status = U_ZERO_ERROR;
    const std::unique_ptr<icu::BreakIterator> breaks(
        icu::BreakIterator::createCharacterInstance(icu::Locale::getRoot(), status));
    const std::unique_ptr<UText, decltype(&utext_close)> source(
        utext_openUTF8(nullptr, text.data(), static_cast<std::int64_t>(text.size()), &status), &utext_close);
    if (U_SUCCESS(status)) {
        breaks->setText(source.get(), status);
    }
    if (U_FAILURE(status)) {
        throw std::runtime_error(std::string("ICU cannot find the characters of a text: ") +
                                 u_errorName(status));
    }
    std::int32_t begin = breaks->first();
    for (std::int32_t end = breaks->next(); end != icu::BreakIterator::DONE;
         begin = end, end = breaks->next()) {
        const auto cluster =
            text.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
        if (!visit(cluster, cluster_width(cluster))) {
            return;
        }
    }
}

// Of printable ASCII and Latin-1, such as numbers with "\u00b1": a column for each character. Nothing for other texts.
std::optional<std::size_t> latin_width(std::string_view text) {
    std::size_t width = 0;
    for (std::size_t i = 0; i < text.size(); ++i, ++width) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if (byte >= 0x20 && byte < 0x7F) {
            continue;
        }
        const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
        const bool is_latin = (byte == 0xC2 && next > 0xA0 && next < 0xC0 && next != 0xAD) ||
                              (byte == 0xC3 && next >= 0x80 && next < 0xC0);
        if (!is_latin) {
            return std::nullopt;
        }
        ++i;
    }
    return width;
}

}  // namespace

std::size_t display_width(std::string_view text) {
    if (const auto width = latin_width(text)) {
        return *width;
    }
    std::size_t total = 0;
    for_each_cluster(text, [&](std::string_view, std::size_t width) {
        total += width;
        return true;
    });
    return total;
}

std::string shortened(std::string_view text, std::size_t width) {
    if (display_width(text) <= width) {
        return std::string(text);
    }
    if (width == 0) {
        return {};
    }
    std::string result;
    std::size_t used = 0;
    for_each_cluster(text, [&](std::string_view cluster, std::size_t columns) {
        if (used + columns + 1 > width) {
            return false;
        }
        result += cluster;
        used += columns;
        return true;
    });
    while (!result.empty() && result.back() == ' ') {
        result.pop_back();
    }
    return result.append(kEllipsis);
}

namespace {

// Characters that change how a terminal shows what follows them: controls, line separators, and those that change the
// direction of a text.
bool is_unsafe(UChar32 code_point) {
    switch (u_charType(code_point)) {
        case U_CONTROL_CHAR:
        case U_LINE_SEPARATOR:
        case U_PARAGRAPH_SEPARATOR:
            return true;
        default:
            return (code_point >= 0x202A && code_point <= 0x202E) ||
                   (code_point >= 0x2066 && code_point <= 0x2069) || code_point == 0x200E ||
                   code_point == 0x200F || code_point == 0x061C;
    }
}

std::string escape_for(UChar32 code_point) {
    switch (code_point) {
        case '\n':
            return "\\n";
        case '\t':
            return "\\t";
        case '\r':
            return "\\r";
        default:
            return code_point < 0x100 ? fmt::format("\\x{:02x}", static_cast<unsigned>(code_point))
                                      : fmt::format("\\u{:04x}", static_cast<unsigned>(code_point));
    }
}

std::string shown(std::string_view text, bool keeps_lines) {
    std::string result;
    const auto length = static_cast<std::int32_t>(text.size());
    for (std::int32_t position = 0; position < length;) {
        const std::int32_t begin = position;
        UChar32 code_point = 0;
        U8_NEXT(text.data(), position, length, code_point);
        if (code_point < 0) {
            result += "\uFFFD";
        } else if (keeps_lines && (code_point == '\n' || code_point == '\t')) {
            result += static_cast<char>(code_point);
        } else if (is_unsafe(code_point)) {
            result += escape_for(code_point);
        } else {
            result +=
                text.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(position - begin));
        }
    }
    return result;
}

}  // namespace

std::string escaped(std::string_view text) {
    return is_plain_ascii(text) ? std::string(text) : shown(text, false);
}

std::string escaped_lines(std::string_view text) {
    return shown(text, true);
}

std::string padded(std::string_view text, std::size_t width) {
    const std::size_t taken = display_width(text);
    return std::string(text) + std::string(width > taken ? width - taken : 0, ' ');
}

std::string wrapped(std::string_view text, std::size_t width) {
    std::string result;
    const std::string indent(std::min(text.find_first_not_of(' '), text.size()), ' ');
    std::string line = indent;
    text.remove_prefix(indent.size());
    while (!text.empty()) {
        const std::size_t space = text.find(' ');
        const std::string_view word = text.substr(0, space);
        text = space == std::string_view::npos ? std::string_view() : text.substr(space + 1);
        const bool begins_line = line.find_first_not_of(' ') == std::string::npos;
        if (!begins_line && width > 0 && display_width(line) + 1 + display_width(word) > width) {
            result.append(line).append("\n");
            line.assign(indent).append("  ").append(word);
        } else {
            line.append(begins_line ? "" : " ").append(word);
        }
    }
    return result + line + "\n";
}

std::string wrapped_note(std::string_view text, std::size_t max_width) {
    constexpr std::size_t kUsualWidth = 80;
    return wrapped(text, max_width > 0 ? max_width : kUsualWidth);
}

}  // namespace orchestrate
