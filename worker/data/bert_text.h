// BERT's text before words are cut into pieces: uncased normalisation and basic words (Devlin et al. 2019),
// as Hugging Face's BertNormalizer and BertPreTokenizer do it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace orchestrate {

// Without control characters and accents (after NFD), in lower case one character at a time, every white
// space a space, a space on both sides of each CJK ideograph. `text` is valid UTF-8; a byte that is not is
// dropped.
std::string bert_normalized(std::string_view text);

// The words of a normalised text: runs between spaces, every punctuation character a word of its own.
// They point into `normalized`.
std::vector<std::string_view> bert_words(std::string_view normalized);

}  // namespace orchestrate
