// What the kernels of one instruction set share: random masks, eight lanes at a time, and the exponential function.
// Included only by sources that are compiled once per instruction set, with ORCHESTRATE_KERNEL_SET naming it; they use
// no inline function of the standard library, since the linker might keep that copy, compiled for the widest set, for
// code that runs everywhere.
#pragma once

#include <math.h>
#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "worker/training/kernels.h"

#ifndef ORCHESTRATE_KERNEL_SET
#error "compile with -DORCHESTRATE_KERNEL_SET=generic, avx2 or avx512"
#endif

// Everything is local to the source that includes it.
namespace orchestrate::ORCHESTRATE_KERNEL_SET {
namespace {

using Index = std::int64_t;
constexpr Index kRandomChunk = 64;

inline constexpr Index rounded_up(Index value, Index multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

// Eight lanes of Philox, sixty-four 16-bit numbers: the layout of dropout_random().
struct Words {
    std::uint32_t lane[8];
};

#if defined(__AVX2__)
using LaneWords = __m256i;
inline LaneWords broadcast(std::uint32_t value) {
    return _mm256_set1_epi32(static_cast<int>(value));
}
inline LaneWords lane_counter(std::uint32_t first) {
    return _mm256_add_epi32(broadcast(first), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
inline void multiply_wide(LaneWords a, std::uint32_t multiplier, LaneWords& high, LaneWords& low) {
    const __m256i factor = broadcast(multiplier);
    const __m256i even = _mm256_mul_epu32(a, factor);
    const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), factor);
    high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
    low = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
}
inline LaneWords exclusive_or(LaneWords a, LaneWords b) {
    return _mm256_xor_si256(a, b);
}
inline void store(const LaneWords& words, std::uint16_t* out) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), words);
}
#else
using LaneWords = Words;
inline LaneWords broadcast(std::uint32_t value) {
    LaneWords words;
    for (auto& lane : words.lane) {
        lane = value;
    }
    return words;
}
inline LaneWords lane_counter(std::uint32_t first) {
    LaneWords words;
    for (std::uint32_t i = 0; i < 8; ++i) {
        words.lane[i] = first + i;
    }
    return words;
}
inline void multiply_wide(const LaneWords& a, std::uint32_t multiplier, LaneWords& high, LaneWords& low) {
    for (int i = 0; i < 8; ++i) {
        const std::uint64_t product = std::uint64_t{multiplier} * a.lane[i];
        high.lane[i] = static_cast<std::uint32_t>(product >> 32);
        low.lane[i] = static_cast<std::uint32_t>(product);
    }
}
inline LaneWords exclusive_or(const LaneWords& a, const LaneWords& b) {
    LaneWords words;
    for (int i = 0; i < 8; ++i) {
        words.lane[i] = a.lane[i] ^ b.lane[i];
    }
    return words;
}
inline void store(const LaneWords& words, std::uint16_t* out) {
    memcpy(out, words.lane, sizeof words.lane);
}
#endif

// The rounds of Philox over eight counters, which become random words.
inline void philox(LaneWords& c0, LaneWords& c1, LaneWords& c2, LaneWords& c3, std::uint32_t key0,
                   std::uint32_t key1) {
    for (int round = 0; round < kPhiloxRounds; ++round) {
        LaneWords high0;
        LaneWords low0;
        LaneWords high1;
        LaneWords low1;
        multiply_wide(c0, kPhiloxMultiplier0, high0, low0);
        multiply_wide(c2, kPhiloxMultiplier1, high1, low1);
        c0 = exclusive_or(exclusive_or(high1, c1), broadcast(key0));
        c1 = low1;
        c2 = exclusive_or(exclusive_or(high0, c3), broadcast(key1));
        c3 = low0;
        key0 += kPhiloxWeyl0;
        key1 += kPhiloxWeyl1;
    }
}

// Elements [first, first + count) of a row; `first` is a multiple of 64, `out` has room for `count` rounded
// up to 64.
inline void fill_random(const Dropout& dropout, std::uint32_t example, std::uint32_t row, Index first,
                        Index count, std::uint16_t* out) {
    for (Index chunk = 0; chunk * kRandomChunk < count; ++chunk) {
        LaneWords c0 = lane_counter(static_cast<std::uint32_t>(first / kRandomChunk + chunk) * 8);
        LaneWords c1 = broadcast(row);
        LaneWords c2 = broadcast(example);
        LaneWords c3 = broadcast(dropout.site);
        philox(c0, c1, c2, c3, dropout.key[0], dropout.key[1]);
        std::uint16_t* const at = out + chunk * kRandomChunk;
        store(c0, at);
        store(c1, at + 16);
        store(c2, at + 32);
        store(c3, at + 48);
    }
}

// mask[0, count) of one row; `mask` has room for `count` rounded up to 64.
inline void fill_mask(const Dropout& dropout, std::uint32_t example, std::uint32_t row, Index count,
                      float* mask) {
    constexpr Index kPiece = kRandomChunk * 16;
    std::uint16_t random[kPiece];
    for (Index from = 0; from < count; from += kPiece) {
        const Index here = count - from < kPiece ? count - from : kPiece;
        fill_random(dropout, example, row, from, here, random);
        const auto threshold = static_cast<int>(dropout.threshold);
        const float scale = dropout.scale;
        float* const at = mask + from;
        for (Index i = 0; i < here; ++i) {
            at[i] = static_cast<int>(random[i]) < threshold ? 0.0F : scale;
        }
    }
}

// exp(x) to 2 units in the last place for x <= 88; 0 below -87.
inline float exponential(float x) {
    constexpr float kLog2E = 1.44269504088896341F;
    constexpr float kLn2High = 0.693359375F;
    constexpr float kLn2Low = -2.12194440e-4F;
    constexpr float kRoundToInteger = 12582912.0F;  // 1.5 * 2^23
    const float clamped = x < -87.0F ? -87.0F : (x > 88.0F ? 88.0F : x);
    const float shifted = clamped * kLog2E + kRoundToInteger;
    std::int32_t exponent_bits;
    memcpy(&exponent_bits, &shifted, sizeof exponent_bits);
    const auto exponent = static_cast<float>(exponent_bits - 0x4B400000);
    const float r = (clamped - exponent * kLn2High) - exponent * kLn2Low;
    // Taylor series on |r| <= ln(2) / 2.
    float p = 1.0F / 5040.0F;
    p = p * r + 1.0F / 720.0F;
    p = p * r + 1.0F / 120.0F;
    p = p * r + 1.0F / 24.0F;
    p = p * r + 1.0F / 6.0F;
    p = p * r + 0.5F;
    p = p * r + 1.0F;
    p = p * r + 1.0F;
    const std::int32_t scale_bits = (exponent_bits - 0x4B400000 + 127) << 23;
    float scale;
    memcpy(&scale, &scale_bits, sizeof scale);
    const float result = p * scale;
    return x < -87.0F ? 0.0F : result;
}

// Standard normal distribution: its density and its integral up to x, by Abramowitz and Stegun 7.1.26
// (absolute error below 1e-7).
inline void normal_distribution(float x, float& density, float& integral) {
    const float magnitude = (x < 0.0F ? -x : x) * 0.70710678118654752F;
    const float bell = exponential(-magnitude * magnitude);
    const float t = 1.0F / (1.0F + 0.3275911F * magnitude);
    float p = 1.061405429F;
    p = p * t - 1.453152027F;
    p = p * t + 1.421413741F;
    p = p * t - 0.284496736F;
    p = p * t + 0.254829592F;
    const float tail = 0.5F * p * t * bell;
    integral = x < 0.0F ? tail : 1.0F - tail;
    density = 0.39894228040143268F * bell;
}

}  // namespace
}  // namespace orchestrate::ORCHESTRATE_KERNEL_SET
