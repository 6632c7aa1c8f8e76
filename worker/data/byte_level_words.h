// The two ideas that GPT-2 (Radford et al. 2019) put under byte-pair encoding, used by RoBERTa too: texts are
// cut into words by a fixed pattern, and a word's bytes are written as 256 printable characters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace orchestrate {

// Walks over the words of a text, each with the space before it:
// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ (Unicode classes by ICU).
// The words, joined, are the text. Bytes that are not UTF-8 count as characters that are neither letter,
// number nor space. `text` must outlive the object.
class ByteLevelWords {
  public:
    explicit ByteLevelWords(std::string_view text) : text_(text) {}

    // The next word, or nothing at the end.
    std::optional<std::string_view> next();

  private:
    std::string_view text_;
    std::size_t at_ = 0;
};

// `text` without the white space (Unicode) at its end.
std::string_view without_trailing_space(std::string_view text);

// Bytes as they stand in vocab.json and merges.txt: printable Latin-1 characters stand for themselves, the
// others for U+0100, U+0101 and so on, in order; written in UTF-8.
std::string printable_from_bytes(std::string_view bytes);

// The inverse; nothing if `printable` holds a character that stands for no byte.
std::optional<std::string> bytes_from_printable(std::string_view printable);

}  // namespace orchestrate
