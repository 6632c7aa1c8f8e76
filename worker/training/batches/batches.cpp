#include "worker/training/batches/batches.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace orchestrate {

namespace {

constexpr std::uint32_t kWindowShift = 20;  // windows are counted above the example's bits

}  // namespace

void PackedBatch::add_text(std::span<const std::int32_t> tokens, std::int64_t label_index,
                           std::uint32_t example_index, std::span<const std::int32_t> types) {
    type_id.insert(type_id.end(), types.begin(), types.end());
    add_rows(tokens, example_index);
    end_example(label_index);
}

void PackedBatch::add_windows(std::span<const std::int32_t> tokens, const TextWindows& windows,
                              std::int64_t label_index, std::uint32_t example_index) {
    constexpr std::size_t kSpecialTokens = 2;
    if (windows.length == 0 || static_cast<std::int64_t>(tokens.size()) <= windows.length) {
        add_text(tokens, label_index, example_index);
        return;
    }
    const auto text = tokens.subspan(1, tokens.size() - kSpecialTokens);
    const std::size_t room = static_cast<std::size_t>(windows.length) - kSpecialTokens;
    const auto stride = static_cast<std::size_t>(windows.stride);
    std::vector<std::int32_t> framed;
    std::uint32_t window = 0;
    for (std::size_t begin = 0; window == 0 || begin - stride + room < text.size(); begin += stride) {
        const auto part = text.subspan(begin, std::min(room, text.size() - begin));
        framed.assign(1, tokens.front());
        framed.insert(framed.end(), part.begin(), part.end());
        framed.push_back(tokens.back());
        add_rows(framed, example_index | window << kWindowShift);
        ++window;
    }
    end_example(label_index);
}

void PackedBatch::add_rows(std::span<const std::int32_t> tokens, std::uint32_t key) {
    std::uint32_t position = 0;
    for (const std::int32_t id : tokens) {
        token.push_back(id);
        position_id.push_back(position);
        token_key.push_back({key, position});
        ++position;
    }
    offsets.push_back(rows());
    example.push_back(key);
    text_key.push_back({key, 0});
    longest = std::max<std::int64_t>(longest, static_cast<std::int64_t>(tokens.size()));
}

void PackedBatch::end_example(std::int64_t label_index) {
    label.push_back(label_index);
    text_offsets.push_back(texts());
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
                 const CompactVocabulary& vocabulary, const TextWindows& windows) {
    PackedBatch batch;
    std::vector<std::int32_t> compact;
    std::uint32_t example = first_example;
    for (const std::int64_t row : rows) {
        compact.clear();
        for (const std::int32_t id : part.tokens(row)) {
            compact.push_back(vocabulary.compact_id[static_cast<std::size_t>(id)]);
        }
        batch.add_windows(compact, windows, part.label[static_cast<std::size_t>(row)], example);
        ++example;
    }
    return batch;
}

}  // namespace orchestrate
