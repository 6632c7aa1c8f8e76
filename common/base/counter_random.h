// Random numbers that are a pure function of (seed, stream, counter): the same on every machine, in any order
// and on any number of threads. The mixing is the finaliser of SplitMix64 (Steele, Lea, Flood 2014), applied
// three times.
#pragma once

#include <cstdint>

namespace orchestrate {

constexpr std::uint64_t mix_bits(std::uint64_t value) {
    value += 0x9E3779B97F4A7C15ULL;
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ULL;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBULL;
    return value ^ (value >> 31);
}

// `stream` tells independent uses of one seed apart.
constexpr std::uint64_t counter_random(std::uint64_t seed, std::uint64_t stream, std::uint64_t counter) {
    return mix_bits(mix_bits(mix_bits(seed) ^ stream) ^ counter);
}

}  // namespace orchestrate
