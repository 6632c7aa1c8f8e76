// Random numbers without state: every number is a function of a key and a counter (Philox4x32-10, Salmon et
// al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), so that initial weights and dropout masks
// depend neither on ranks nor threads nor on how a batch is cut. Free of torch.
#pragma once

#include <array>
#include <cstdint>

namespace orchestrate {

// Where a row of a packed batch comes from: what its dropout masks are a function of, besides seed, step and
// site.
struct TokenKey {
    std::uint32_t example = 0;   // index in the global batch
    std::uint32_t position = 0;  // of the token in its text
};

// One dropout site in one optimiser step. Element e of a row is dropped if its 16-bit random number is below
// `threshold`; others are multiplied by `scale`. Threshold 0: nothing is dropped, scale is 1.
struct Dropout {
    std::array<std::uint32_t, 2> key{};  // of seed and step
    std::uint32_t site = 0;
    std::uint32_t threshold = 0;
    float scale = 1.0F;

    bool enabled() const { return threshold != 0; }
};

inline constexpr std::uint32_t kPhiloxMultiplier0 = 0xD2511F53U;
inline constexpr std::uint32_t kPhiloxMultiplier1 = 0xCD9E8D57U;
inline constexpr std::uint32_t kPhiloxWeyl0 = 0x9E3779B9U;
inline constexpr std::uint32_t kPhiloxWeyl1 = 0xBB67AE85U;
inline constexpr int kPhiloxRounds = 10;

// Four 32-bit random numbers of one counter.
inline std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                           std::array<std::uint32_t, 2> key) {
    for (int round = 0; round < kPhiloxRounds; ++round) {
        const std::uint64_t product0 = std::uint64_t{kPhiloxMultiplier0} * counter[0];
        const std::uint64_t product1 = std::uint64_t{kPhiloxMultiplier1} * counter[2];
        counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
                   static_cast<std::uint32_t>(product1),
                   static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
                   static_cast<std::uint32_t>(product0)};
        key = {key[0] + kPhiloxWeyl0, key[1] + kPhiloxWeyl1};
    }
    return counter;
}

// A well mixed function of two numbers (the finalizer of SplitMix64, Steele et al. 2014).
inline std::uint64_t mix(std::uint64_t seed, std::uint64_t value) {
    std::uint64_t z = seed + (value + 1) * 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}

// The dropout of one site. `probability` is used to a resolution of 2^-16; the scale fits the resolution, so
// that the mean of a mask is exactly 1.
inline Dropout make_dropout(std::uint64_t seed, std::int64_t step, std::uint32_t site, double probability) {
    const std::uint64_t mixed = mix(seed, static_cast<std::uint64_t>(step));
    Dropout dropout;
    dropout.key = {static_cast<std::uint32_t>(mixed), static_cast<std::uint32_t>(mixed >> 32)};
    dropout.site = site;
    // Of a positive number; its bits are those of trained results.
    dropout.threshold =
        static_cast<std::uint32_t>(probability * 65536.0 + 0.5);  // NOLINT(bugprone-incorrect-roundings)
    dropout.scale = static_cast<float>(65536.0 / (65536.0 - dropout.threshold));
    return dropout;
}

// The 16-bit random number of element `element` of a row. Elements come in chunks of 64: eight counters, each
// giving four words of two numbers; the layout is that of eight lanes side by side, as a vector unit computes
// them.
inline std::uint32_t dropout_random(const Dropout& dropout, TokenKey token, std::uint32_t element) {
    const std::uint32_t chunk = element / 64;
    const std::uint32_t word = element % 64 / 16;
    const std::uint32_t lane = element % 16 / 2;
    const auto random = philox({chunk * 8 + lane, token.position, token.example, dropout.site}, dropout.key);
    return (random[word] >> (element % 2 * 16)) & 0xFFFFU;
}

// Rows of attention weights are keyed by head and query.
inline std::uint32_t attention_row(std::uint32_t head, std::uint32_t query) {
    return head << 20 | query;
}

}  // namespace orchestrate
