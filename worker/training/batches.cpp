#include "worker/training/batches.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace orchestrate {

void PackedBatch::add_text(std::span<const std::int32_t> tokens, std::int64_t label_index,
                           std::uint32_t example_index, std::span<const std::int32_t> types) {
    std::uint32_t position = 0;
    type_id.insert(type_id.end(), types.begin(), types.end());
    for (const std::int32_t id : tokens) {
        token.push_back(id);
        position_id.push_back(position);
        token_key.push_back({example_index, position});
        ++position;
    }
    offsets.push_back(rows());
    label.push_back(label_index);
    example.push_back(example_index);
    text_key.push_back({example_index, 0});
    longest = std::max<std::int64_t>(longest, static_cast<std::int64_t>(tokens.size()));
}

CompactVocabulary CompactVocabulary::of(const PreparedData& data) {
    CompactVocabulary vocabulary;
    vocabulary.compact_id.assign(static_cast<std::size_t>(data.vocabulary_size), -1);
    for (const PreparedPart* part : {&data.train, &data.validation, &data.test}) {
        for (const std::int32_t id : part->token_ids) {
            vocabulary.compact_id.at(static_cast<std::size_t>(id)) = 0;
        }
    }
    for (std::size_t id = 0; id < vocabulary.compact_id.size(); ++id) {
        if (vocabulary.compact_id[id] == 0) {
            vocabulary.compact_id[id] = static_cast<std::int32_t>(vocabulary.original_id.size());
            vocabulary.original_id.push_back(static_cast<std::int64_t>(id));
        }
    }
    return vocabulary;
}

CompactVocabulary CompactVocabulary::all(std::int64_t vocabulary_size) {
    CompactVocabulary vocabulary;
    vocabulary.original_id.resize(static_cast<std::size_t>(vocabulary_size));
    vocabulary.compact_id.resize(static_cast<std::size_t>(vocabulary_size));
    std::iota(vocabulary.original_id.begin(), vocabulary.original_id.end(), 0);
    std::iota(vocabulary.compact_id.begin(), vocabulary.compact_id.end(), 0);
    return vocabulary;
}

std::vector<std::int64_t> epoch_order(std::int64_t rows, std::uint64_t seed, std::int64_t epoch) {
    std::vector<std::int64_t> order(static_cast<std::size_t>(rows));
    std::iota(order.begin(), order.end(), 0);
    const std::uint64_t key = mix(seed, static_cast<std::uint64_t>(epoch));
    // Fisher-Yates; the modulo of 64 bits is uniform to 2^-40 for any set that fits in memory.
    for (std::size_t i = order.size(); i > 1; --i) {
        std::swap(order[i - 1], order[mix(key, i) % i]);
    }
    return order;
}

RowRange share_of(std::int64_t count, int rank, int ranks) {
    return {count * rank / ranks, count * (rank + 1) / ranks};
}

PackedBatch pack(const PreparedPart& part, std::span<const std::int64_t> rows, std::uint32_t first_example,
                 const CompactVocabulary& vocabulary) {
    PackedBatch batch;
    std::vector<std::int32_t> compact;
    std::uint32_t example = first_example;
    for (const std::int64_t row : rows) {
        compact.clear();
        for (const std::int32_t id : part.tokens(row)) {
            compact.push_back(vocabulary.compact_id[static_cast<std::size_t>(id)]);
        }
        batch.add_text(compact, part.label[static_cast<std::size_t>(row)], example);
        ++example;
    }
    return batch;
}

}  // namespace orchestrate
