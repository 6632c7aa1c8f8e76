#include "common/base/unicode.h"

#include <algorithm>

#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/utf8.h>

namespace orchestrate {
namespace {

bool is_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

bool is_valid_utf8(std::string_view text) {
    if (is_ascii(text)) {
        return true;
    }
    const auto* const bytes = reinterpret_cast<const uint8_t*>(text.data());
    const auto size = static_cast<int32_t>(text.size());
    for (int32_t at = 0; at < size;) {
        UChar32 character = 0;
        U8_NEXT(bytes, at, size, character);
        if (character < 0) {
            return false;
        }
    }
    return true;
}

Character first_character(std::string_view text) {
    int32_t bytes = 0;
    UChar32 code = 0;
    U8_NEXT(text.data(), bytes, static_cast<int32_t>(std::min<std::size_t>(text.size(), U8_MAX_LENGTH)),
            code);
    return code < 0 ? Character{}
                    : Character{static_cast<std::uint32_t>(code), static_cast<std::size_t>(bytes)};
}

std::string trimmed_lower_case(std::string_view text) {
    if (is_ascii(text)) {
        constexpr std::string_view kWhiteSpace = " \t\n\v\f\r";
        const auto first = text.find_first_not_of(kWhiteSpace);
        if (first == std::string_view::npos) {
            return {};
        }
        std::string result(text.substr(first, text.find_last_not_of(kWhiteSpace) + 1 - first));
        for (char& c : result) {
            c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        }
        return result;
    }
    auto characters =
        icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<int32_t>(text.size())));
    int32_t begin = 0;
    int32_t end = characters.length();
    while (begin < end && u_isUWhiteSpace(characters.char32At(begin)) != 0) {
        begin = characters.moveIndex32(begin, 1);
    }
    while (end > begin && u_isUWhiteSpace(characters.char32At(end - 1)) != 0) {
        end = characters.moveIndex32(end, -1);
    }
    std::string result;
    characters.tempSubStringBetween(begin, end).toLower(icu::Locale::getRoot()).toUTF8String(result);
    return result;
}

int decimal_digit(std::uint32_t code) {
    return u_charDigitValue(static_cast<UChar32>(code));
}

}  // namespace orchestrate
