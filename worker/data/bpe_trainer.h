// Learns a byte-level byte-pair vocabulary from texts, for studies that bring none. Deterministic: the same
// texts in any order give the same vocabulary on every machine.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "worker/data/byte_level_bpe.h"

namespace orchestrate {

// The smallest vocabulary: 5 special tokens and 256 bytes.
inline constexpr std::int64_t kSmallestVocabulary = 261;

// Ids: <s> 0, <pad> 1, </s> 2, <unk> 3, the bytes in order from 4 on, the results of merges in order, <mask>
// last. Each step merges the pair that occurs most often in the words of the texts (never across words); of
// equally frequent pairs the one whose left, then right bytes come first. It ends at vocabulary_size ids, or
// earlier when no pair occurs twice. Throws UserError if vocabulary_size is below kSmallestVocabulary.
ByteLevelBpe train_byte_level_bpe(std::span<const std::string> texts, std::int64_t vocabulary_size);

}  // namespace orchestrate
