// RoBERTa's tokenizer: byte-level byte-pair encoding (Sennrich et al. 2016; Radford et al. 2019) with the
// vocab.json and merges.txt that Hugging Face writes; its ids are those of RobertaTokenizerFast for every
// text.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/data/special_tokens.h"
#include "worker/data/tokenized_texts.h"
#include "worker/data/word_cache.h"

namespace orchestrate {

// Immutable after construction: any number of threads may use one.
class ByteLevelBpe {
  public:
    // One entry per id; special tokens as they are written, all others as bytes. An empty one is an id
    // without token.
    using Tokens = std::vector<std::string>;
    using Merges = std::vector<std::pair<std::int32_t, std::int32_t>>;  // ids, in order of rank

    // Reads vocab.json and merges.txt. Throws UserError naming file and line.
    static ByteLevelBpe load(const std::filesystem::path& folder);

    // Throws UserError if a byte, a special token or the result of a merge has no id.
    ByteLevelBpe(Tokens tokens, const Merges& merges);

    // Writes vocab.json and merges.txt; equal tokenizers give equal bytes. Throws UserError.
    void save(const std::filesystem::path& folder) const;

    std::int64_t vocabulary_size() const { return static_cast<std::int64_t>(tokens_.size()); }
    const SpecialTokens& special() const { return special_; }

    // <s> text </s>; with max_length > 0 cut to that many ids, special tokens included (the text is cut, at
    // its end). Literal special tokens in a text become their ids; <mask> swallows white space on its left.
    std::vector<std::int32_t> encode(std::string_view text, std::int64_t max_length = 0) const;

    // <s> first </s></s> second </s>; with max_length > 0 the longer of the two is cut first.
    std::vector<std::int32_t> encode_pair(std::string_view first, std::string_view second,
                                          std::int64_t max_length = 0) const;

    // encode() of each text, by `threads` threads; their number does not change the result.
    TokenizedTexts encode_batch(std::span<const std::string> texts, std::int64_t max_length,
                                int threads) const;

    // The bytes that the ids stand for, special tokens left out.
    std::string decode(std::span<const std::int32_t> ids) const;

  private:
    // Rank and result of merging a pair of ids: an open hash table.
    struct Merge {
        std::uint64_t pair = kNoPair;
        std::int32_t rank = 0;
        std::int32_t result = 0;
    };
    static constexpr std::uint64_t kNoPair = ~std::uint64_t{0};

    const Merge* find_merge(std::int32_t left, std::int32_t right) const;
    void append_text(std::string_view text, WordCache& cache, std::vector<std::int32_t>& ids) const;
    void append_words(std::string_view text, WordCache& cache, std::vector<std::int32_t>& ids) const;
    void merge_word(std::string_view word, std::vector<std::int32_t>& ids) const;
    void merge_long_word(std::string_view word, std::vector<std::int32_t>& ids) const;

    Tokens tokens_;
    Merges merges_;
    std::array<std::int32_t, 256> byte_ids_{};
    std::vector<Merge> table_;
    std::uint64_t table_mask_ = 0;
    SpecialTokens special_;
};

}  // namespace orchestrate
