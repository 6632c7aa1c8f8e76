// Which examples make up which batch, and a batch as the model reads it: texts one after another, without
// padding. Free of torch. The order of an epoch depends on seed and epoch alone; a batch is cut over ranks by
// position.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "worker/data/prepared_data.h"
#include "worker/training/kernels/kernels.h"
#include "worker/training/kernels/keyed_random.h"

namespace orchestrate {

// How texts that are too long are cut: windows of `length` tokens, the two special tokens included, each
// beginning `stride` tokens of the text after the one before, until one holds the text's end. Length 0: not.
struct TextWindows {
    std::int64_t length = 0;
    std::int64_t stride = 0;

    // Of a text with so many tokens.
    std::int64_t longest(std::int64_t tokens) const { return length > 0 ? std::min(length, tokens) : tokens; }
    static TextWindows of(const TokenizerConfig& tokenizer) {
        return {tokenizer.window_length, tokenizer.window_stride};
    }
};

// Examples of a batch, packed. Row t is one token. A text is what attention sees at once: all of an example,
// or one of its windows.
struct PackedBatch {
    std::vector<std::int64_t> token;        // per row: index into the compact vocabulary
    std::vector<std::int64_t> position_id;  // per row: index into the compact position table
    std::vector<std::int64_t> type_id;      // per row: index into the token types; empty: all 0
    std::vector<TokenKey> token_key;        // per row
    std::vector<std::int64_t> offsets{0};   // text i has the rows [offsets[i], offsets[i + 1])
    std::vector<std::uint32_t> example;     // per text: index in the global batch, and its window above that
    std::vector<TokenKey> text_key;         // per text: {example, 0}
    std::int64_t longest = 0;               // rows of the longest text
    std::vector<std::int64_t> label;        // per example
    std::vector<std::int64_t> text_offsets{
        0};  // example i has the texts [text_offsets[i], text_offsets[i + 1])

    std::int64_t texts() const { return static_cast<std::int64_t>(offsets.size()) - 1; }
    std::int64_t rows() const { return static_cast<std::int64_t>(token.size()); }
    std::int64_t examples() const { return static_cast<std::int64_t>(label.size()); }

    // `tokens`: indices into the compact vocabulary, special tokens first and last. `types`: one per token, for
    // all texts of a batch or for none.
    void add_text(std::span<const std::int32_t> tokens, std::int64_t label_index, std::uint32_t example_index,
                  std::span<const std::int32_t> types = {});

    // As add_text, if the tokens fit into one window; else several texts, each between the special tokens.
    // example_index < 2^20, at most 4,096 windows.
    void add_windows(std::span<const std::int32_t> tokens, const TextWindows& windows,
                     std::int64_t label_index, std::uint32_t example_index);

  private:
    void add_rows(std::span<const std::int32_t> tokens, std::uint32_t key);
    void end_example(std::int64_t label_index);
};

// The embedding rows that the texts of a data set use: only they are trained.
struct CompactVocabulary {
    std::vector<std::int64_t> original_id;  // of each compact index, ascending
    std::vector<std::int32_t> compact_id;   // of each original id; -1: no text uses it

    static CompactVocabulary of(const PreparedData& data);
    // Every id of a vocabulary.
    static CompactVocabulary all(std::int64_t vocabulary_size);
    std::int64_t size() const { return static_cast<std::int64_t>(original_id.size()); }
};

// The rows of the training part in the order of one epoch (1-based): a permutation keyed by seed and epoch.
std::vector<std::int64_t> epoch_order(std::int64_t rows, std::uint64_t seed, std::int64_t epoch);

// The part of `count` things that falls to a rank: contiguous, sizes differ by one at most.
RowRange share_of(std::int64_t count, int rank, int ranks);

// The texts of `rows` of a part; example indices count from `first_example`.
PackedBatch pack(const PreparedPart& part, std::span<const std::int64_t> rows, std::uint32_t first_example,
                 const CompactVocabulary& vocabulary, const TextWindows& windows);

}  // namespace orchestrate
