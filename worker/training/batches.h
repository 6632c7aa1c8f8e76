// Which examples make up which batch, and a batch as the model reads it: texts one after another, without
// padding. Free of torch. The order of an epoch depends on seed and epoch alone; a batch is cut over ranks by
// position.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "worker/data/prepared_data.h"
#include "worker/training/kernels.h"
#include "worker/training/keyed_random.h"

namespace orchestrate {

// Texts of a batch, packed. Row t is one token.
struct PackedBatch {
    std::vector<std::int64_t> token;        // per row: index into the compact vocabulary
    std::vector<std::int64_t> position_id;  // per row: index into the compact position table
    std::vector<std::int64_t> type_id;      // per row: index into the token types; empty: all 0
    std::vector<TokenKey> token_key;        // per row
    std::vector<std::int64_t> offsets{0};   // text i has the rows [offsets[i], offsets[i + 1])
    std::vector<std::int64_t> label;        // per text
    std::vector<std::uint32_t> example;     // per text: index in the global batch
    std::vector<TokenKey> text_key;         // per text: {example, 0}
    std::int64_t longest = 0;               // rows of the longest text

    std::int64_t texts() const { return static_cast<std::int64_t>(label.size()); }
    std::int64_t rows() const { return static_cast<std::int64_t>(token.size()); }

    // `tokens`: indices into the compact vocabulary. `types`: one per token, for all texts of a batch or for
    // none.
    void add_text(std::span<const std::int32_t> tokens, std::int64_t label_index, std::uint32_t example_index,
                  std::span<const std::int32_t> types = {});
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
                 const CompactVocabulary& vocabulary);

}  // namespace orchestrate
