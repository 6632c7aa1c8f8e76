#include "worker/data/bert_text.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/utf8.h>

namespace orchestrate {
namespace {

bool is_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// Characters that stand for nothing: controls, formats, private and unassigned ones.
bool is_dropped(UChar32 character) {
    if (character == '\t' || character == '\n' || character == '\r') {
        return false;
    }
    constexpr std::uint32_t kDropped =
        U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CN_MASK | U_GC_CO_MASK | U_GC_CS_MASK;
    return character == 0xFFFD || (U_GET_GC_MASK(character) & kDropped) != 0;
}

bool is_cjk_ideograph(UChar32 character) {
    constexpr std::array<std::pair<UChar32, UChar32>, 8> kBlocks = {{{0x4E00, 0x9FFF},
                                                                     {0x3400, 0x4DBF},
                                                                     {0x20000, 0x2A6DF},
                                                                     {0x2A700, 0x2B73F},
                                                                     {0x2B740, 0x2B81F},
                                                                     {0x2B820, 0x2CEAF},
                                                                     {0xF900, 0xFAFF},
                                                                     {0x2F800, 0x2FA1F}}};
    return std::any_of(kBlocks.begin(), kBlocks.end(), [&](const auto& block) {
        return character >= block.first && character <= block.second;
    });
}

bool is_punctuation(UChar32 character) {
    const bool ascii = (character >= 33 && character <= 47) || (character >= 58 && character <= 64) ||
                       (character >= 91 && character <= 96) || (character >= 123 && character <= 126);
    return ascii || (character >= 0x80 && (U_GET_GC_MASK(character) & U_GC_P_MASK) != 0);
}

std::string normalized_ascii(std::string_view text) {
    std::string result;
    result.reserve(text.size());
    for (const char c : text) {
        if (c == ' ' || (c >= '\t' && c <= '\r' && c != '\v' && c != '\f')) {
            result += ' ';
        } else if (c > ' ' && c != 0x7F) {
            result += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        }
    }
    return result;
}

}  // namespace

std::string bert_normalized(std::string_view text) {
    if (is_ascii(text)) {
        return normalized_ascii(text);
    }
    icu::UnicodeString cleaned;
    const auto* const bytes = reinterpret_cast<const uint8_t*>(text.data());
    const auto size = static_cast<int32_t>(text.size());
    for (int32_t at = 0; at < size;) {
        UChar32 character = 0;
        U8_NEXT(bytes, at, size, character);
        if (character < 0 || is_dropped(character)) {
            continue;
        }
        const bool cjk = is_cjk_ideograph(character);
        if (cjk) {
            cleaned.append(u' ');
        }
        cleaned.append(u_isUWhiteSpace(character) != 0 ? UChar32{' '} : character);
        if (cjk) {
            cleaned.append(u' ');
        }
    }
    UErrorCode status = U_ZERO_ERROR;
    const icu::Normalizer2* const nfd = icu::Normalizer2::getNFDInstance(status);
    const icu::UnicodeString decomposed = nfd != nullptr ? nfd->normalize(cleaned, status) : cleaned;
    if (U_FAILURE(status) != 0) {
        throw std::runtime_error(std::string("ICU cannot normalise a text: ") + u_errorName(status));
    }
    icu::UnicodeString lower;
    for (int32_t at = 0; at < decomposed.length(); at = decomposed.moveIndex32(at, 1)) {
        const UChar32 character = decomposed.char32At(at);
        if ((U_GET_GC_MASK(character) & U_GC_MN_MASK) == 0) {
            lower.append(u_tolower(character));
        }
    }
    std::string result;
    lower.toUTF8String(result);
    return result;
}

std::vector<std::string_view> bert_words(std::string_view normalized) {
    std::vector<std::string_view> words;
    std::size_t begin = 0;
    const auto end_word = [&](std::size_t end) {
        if (end > begin) {
            words.push_back(normalized.substr(begin, end - begin));
        }
    };
    const auto* const bytes = reinterpret_cast<const uint8_t*>(normalized.data());
    const auto size = static_cast<int32_t>(normalized.size());
    for (int32_t next = 0; next < size;) {
        const auto at = static_cast<std::size_t>(next);
        UChar32 character = 0;
        U8_NEXT(bytes, next, size, character);
        if (character == ' ') {
            end_word(at);
            begin = static_cast<std::size_t>(next);
        } else if (is_punctuation(character)) {
            end_word(at);
            begin = at;
            end_word(static_cast<std::size_t>(next));
            begin = static_cast<std::size_t>(next);
        }
    }
    end_word(normalized.size());
    return words;
}

}  // namespace orchestrate
