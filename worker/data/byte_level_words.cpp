#include "worker/data/byte_level_words.h"

#include <array>

#include <unicode/uchar.h>
#include <unicode/utf8.h>

namespace orchestrate {
namespace {

enum class CharacterClass : std::uint8_t { letter, number, space, other };

CharacterClass class_of(UChar32 character) {
    if (u_isUWhiteSpace(character) != 0) {
        return CharacterClass::space;
    }
    const std::uint32_t mask = U_GET_GC_MASK(character);
    if ((mask & U_GC_L_MASK) != 0) {
        return CharacterClass::letter;
    }
    return (mask & U_GC_N_MASK) != 0 ? CharacterClass::number : CharacterClass::other;
}

constexpr std::size_t kAsciiSize = 128;

const std::array<CharacterClass, kAsciiSize>& ascii_classes() {
    static const auto classes = [] {
        std::array<CharacterClass, kAsciiSize> table{};
        for (std::size_t i = 0; i < kAsciiSize; ++i) {
            table[i] = class_of(static_cast<UChar32>(i));
        }
        return table;
    }();
    return classes;
}

struct Character {
    CharacterClass kind = CharacterClass::other;
    std::size_t end = 0;  // position behind it
};

Character character_at(std::string_view text, std::size_t at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < kAsciiSize) {
        return {ascii_classes()[byte], at + 1};
    }
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(text.data()) + at;
    const auto left = static_cast<int32_t>(std::min<std::size_t>(text.size() - at, U8_MAX_LENGTH));
    int32_t length = 0;
    UChar32 character = 0;
    U8_NEXT(bytes, length, left, character);
    return {character < 0 ? CharacterClass::other : class_of(character),
            at + static_cast<std::size_t>(length)};
}

// Behind the run of characters of one class that begins at `at`.
std::size_t end_of_run(std::string_view text, std::size_t at, CharacterClass kind) {
    while (at < text.size()) {
        const Character next = character_at(text, at);
        if (next.kind != kind) {
            break;
        }
        at = next.end;
    }
    return at;
}

// Length of the English contraction that `text` begins with; 0: none.
std::size_t contraction_length(std::string_view text) {
    for (const std::string_view contraction : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
        if (text.starts_with(contraction)) {
            return contraction.size();
        }
    }
    return 0;
}

// Behind the white space that is a word of its own: a run, but its last character is left to a word that
// follows.
std::size_t end_of_space(std::string_view text, std::size_t at) {
    std::size_t last = at;
    std::size_t end = at;
    while (end < text.size()) {
        const Character next = character_at(text, end);
        if (next.kind != CharacterClass::space) {
            return last > at ? last : end;
        }
        last = end;
        end = next.end;
    }
    return end;
}

struct Alphabet {
    std::array<std::string, 256> printable;
    std::array<int, 512> byte;  // of a character below U+0200; -1: none
};

const Alphabet& alphabet() {
    static const Alphabet table = [] {
        Alphabet result;
        result.byte.fill(-1);
        int next_replacement = 256;
        for (int byte = 0; byte < 256; ++byte) {
            const bool shown =
                (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
            const int character = shown ? byte : next_replacement++;
            auto& text = result.printable[static_cast<std::size_t>(byte)];
            if (character < 128) {
                text += static_cast<char>(character);
            } else {
                text += static_cast<char>(0xC0 | (character >> 6));
                text += static_cast<char>(0x80 | (character & 0x3F));
            }
            result.byte[static_cast<std::size_t>(character)] = byte;
        }
        return result;
    }();
    return table;
}

}  // namespace

std::optional<std::string_view> ByteLevelWords::next() {
    if (at_ == text_.size()) {
        return std::nullopt;
    }
    const std::size_t begin = at_;
    if (const std::size_t length = contraction_length(text_.substr(begin)); length > 0) {
        at_ = begin + length;
        return text_.substr(begin, length);
    }
    Character first = character_at(text_, begin);
    if (text_[begin] == ' ' && first.end < text_.size()) {
        const Character second = character_at(text_, first.end);
        if (second.kind != CharacterClass::space) {
            first = second;
        }
    }
    at_ = first.kind == CharacterClass::space ? end_of_space(text_, begin)
                                              : end_of_run(text_, first.end, first.kind);
    return text_.substr(begin, at_ - begin);
}

std::string_view without_trailing_space(std::string_view text) {
    while (!text.empty()) {
        std::size_t last = text.size() - 1;
        while (last > 0 && (static_cast<unsigned char>(text[last]) & 0xC0U) == 0x80U) {
            --last;
        }
        if (character_at(text, last).kind != CharacterClass::space) {
            break;
        }
        text = text.substr(0, last);
    }
    return text;
}

std::string printable_from_bytes(std::string_view bytes) {
    std::string result;
    for (const char c : bytes) {
        result += alphabet().printable[static_cast<unsigned char>(c)];
    }
    return result;
}

std::optional<std::string> bytes_from_printable(std::string_view printable) {
    std::string result;
    for (std::size_t at = 0; at < printable.size();) {
        auto character = static_cast<unsigned>(static_cast<unsigned char>(printable[at++]));
        if (character >= 0x80) {
            if (character < 0xC0 || character >= 0xC8 || at == printable.size()) {
                return std::nullopt;
            }
            character = (character & 0x1FU) << 6U | (static_cast<unsigned char>(printable[at++]) & 0x3FU);
        }
        const int byte = alphabet().byte[character];
        if (byte < 0) {
            return std::nullopt;
        }
        result += static_cast<char>(byte);
    }
    return result;
}

}  // namespace orchestrate
