// Random masks of dropout and Philox, eight or sixteen lanes at a time. Included like kernel_math.h.
#pragma once

#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "worker/training/kernels/kernel_math.h"

namespace orchestrate::ORCHESTRATE_KERNEL_SET {
namespace {

constexpr Index kRandomChunk = 64;

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
inline LaneWords exclusive_or(LaneWords a, LaneWords b, std::uint32_t key) {
    return _mm256_xor_si256(_mm256_xor_si256(a, b), broadcast(key));
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
inline LaneWords exclusive_or(const LaneWords& a, const LaneWords& b, std::uint32_t key) {
    LaneWords words;
    for (int i = 0; i < 8; ++i) {
        words.lane[i] = a.lane[i] ^ b.lane[i] ^ key;
    }
    return words;
}
inline void store(const LaneWords& words, std::uint16_t* out) {
    memcpy(out, words.lane, sizeof words.lane);
}
#endif

#if defined(__AVX512BW__)
inline void multiply_wide(__m512i a, std::uint32_t multiplier, __m512i& high, __m512i& low) {
    constexpr __mmask16 kOdd = 0xAAAA;
    const __m512i factor = _mm512_set1_epi32(static_cast<int>(multiplier));
    const __m512i even = _mm512_mul_epu32(a, factor);
    const __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), factor);
    high = _mm512_mask_blend_epi32(kOdd, _mm512_srli_epi64(even, 32), odd);
    low = _mm512_mask_blend_epi32(kOdd, even, _mm512_slli_epi64(odd, 32));
}
inline __m512i exclusive_or(__m512i a, __m512i b, std::uint32_t key) {
    constexpr int kAllThree = 0x96;
    return _mm512_ternarylogic_epi32(a, b, _mm512_set1_epi32(static_cast<int>(key)), kAllThree);
}
#endif

// The rounds of Philox over the counters of all lanes, which become random words.
template <class Lanes>
inline void philox(Lanes& c0, Lanes& c1, Lanes& c2, Lanes& c3, std::uint32_t key0, std::uint32_t key1) {
    for (int round = 0; round < kPhiloxRounds; ++round) {
        Lanes high0;
        Lanes low0;
        Lanes high1;
        Lanes low1;
        multiply_wide(c0, kPhiloxMultiplier0, high0, low0);
        multiply_wide(c2, kPhiloxMultiplier1, high1, low1);
        c0 = exclusive_or(high1, c1, key0);
        c1 = low1;
        c2 = exclusive_or(high0, c3, key1);
        c3 = low0;
        key0 += kPhiloxWeyl0;
        key1 += kPhiloxWeyl1;
    }
}

#if defined(__AVX512BW__)

// mask[0, count) of one row; `mask` has room for `count` rounded up to 64. Two chunks at a time, the second in the
// upper eight lanes.
inline void fill_mask(const Dropout& dropout, std::uint32_t example, std::uint32_t row, Index count,
                      float* mask) {
    const __m512 scale = _mm512_set1_ps(dropout.scale);
    const __m512i threshold = _mm512_set1_epi16(static_cast<std::int16_t>(dropout.threshold));
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (Index from = 0; from < count; from += 2 * kRandomChunk) {
        __m512i words[4] = {
            _mm512_add_epi32(lanes, _mm512_set1_epi32(static_cast<int>(from / kRandomChunk * 8))),
            _mm512_set1_epi32(static_cast<int>(row)),
            _mm512_set1_epi32(static_cast<int>(example)),
            _mm512_set1_epi32(static_cast<int>(dropout.site)),
        };
        philox(words[0], words[1], words[2], words[3], dropout.key[0], dropout.key[1]);
        const bool both = from + kRandomChunk < count;
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
            const __mmask32 kept = _mm512_cmpge_epu16_mask(words[i], threshold);
            float* const at = mask + from + static_cast<Index>(i) * 16;
            _mm512_storeu_ps(at, _mm512_maskz_mov_ps(static_cast<__mmask16>(kept), scale));
            if (both) {
                _mm512_storeu_ps(at + kRandomChunk,
                                 _mm512_maskz_mov_ps(static_cast<__mmask16>(kept >> 16), scale));
            }
        }
    }
}

#else

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

#endif

}  // namespace
}  // namespace orchestrate::ORCHESTRATE_KERNEL_SET
