#include "worker/training/operations/device_random.h"

#include <array>

#include <ATen/ATen.h>

namespace orchestrate {

namespace {

using at::Tensor;

// Words of 32 bits are kept in 64, where their products wrap around as unsigned ones do.
constexpr std::int64_t kWord = 0xFFFFFFFF;

Tensor as_words(const Tensor& values) {
    return values.to(at::kLong).bitwise_and(kWord);
}

struct Product {
    Tensor high;
    Tensor low;
};

Product multiply(const Tensor& words, std::uint32_t multiplier) {
    const Tensor product = words * static_cast<std::int64_t>(multiplier);
    return {product.bitwise_right_shift(32).bitwise_and(kWord), product.bitwise_and(kWord)};
}

}  // namespace

Tensor keyed_keep(const KeyedRows& rows, std::int64_t columns, const Dropout& dropout, const Tensor& key) {
    constexpr std::int64_t kLanes = 8;
    constexpr std::int64_t kElementsPerChunk = 64;
    const std::int64_t count = rows.example.size(0);
    const std::int64_t chunks = (columns + kElementsPerChunk - 1) / kElementsPerChunk;
    const auto shaped = [&](const Tensor& words) { return words.expand({count, chunks * kLanes}); };
    const auto options = rows.example.options().dtype(at::kLong);
    std::array<Tensor, 4> counter = {shaped(at::arange(chunks * kLanes, options).unsqueeze(0)),
                                     shaped(as_words(rows.position).unsqueeze(1)),
                                     shaped(as_words(rows.example).unsqueeze(1)),
                                     at::full({1, 1}, static_cast<std::int64_t>(dropout.site), options)};
    const Tensor words = as_words(key);
    Tensor key0 = words.select(0, 0);
    Tensor key1 = words.select(0, 1);
    for (int round = 0; round < kPhiloxRounds; ++round) {
        const Product first = multiply(counter[0], kPhiloxMultiplier0);
        const Product second = multiply(counter[2], kPhiloxMultiplier1);
        counter = {second.high.bitwise_xor(counter[1]).bitwise_xor(key0), second.low,
                   first.high.bitwise_xor(counter[3]).bitwise_xor(key1), first.low};
        key0 = (key0 + static_cast<std::int64_t>(kPhiloxWeyl0)).bitwise_and(kWord);
        key1 = (key1 + static_cast<std::int64_t>(kPhiloxWeyl1)).bitwise_and(kWord);
    }
    // Element 64 chunk + 16 word + 2 lane + half.
    std::vector<Tensor> halves;
    for (const Tensor& word : counter) {
        const Tensor lanes = shaped(word).view({count, chunks, kLanes});
        halves.push_back(at::stack({lanes.bitwise_and(0xFFFF), lanes.bitwise_right_shift(16)}, 3));
    }
    return at::stack(halves, 2)
        .view({count, chunks * kElementsPerChunk})
        .narrow(1, 0, columns)
        .ge(static_cast<std::int64_t>(dropout.threshold));
}

}  // namespace orchestrate
