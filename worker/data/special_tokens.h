// Ids of the tokens with a meaning of their own.
#pragma once

#include <cstdint>

namespace orchestrate {

// The values are those of RoBERTa's vocabulary, in which <mask> is the last.
struct SpecialTokens {
    std::int32_t bos = 0;  // <s>, first of every text
    std::int32_t pad = 1;
    std::int32_t eos = 2;  // </s>, last of every text
    std::int32_t unk = 3;
    std::int32_t mask = 50264;
};

}  // namespace orchestrate
