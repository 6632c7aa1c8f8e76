// Transposing blocks of a matrix through registers. Included like kernel_math.h.
#pragma once

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include "worker/training/kernels/kernel_math.h"

namespace orchestrate::ORCHESTRATE_KERNEL_SET {
namespace {

constexpr Index kTransposedRows = 16;

#if defined(__AVX512F__)

// Up to 16 rows and columns: pairs of rows, then of pairs, are interleaved; then 128-bit quarters are gathered.
inline void transpose_block(Index rows, Index columns, const float* from, Index from_stride, float* to,
                            Index to_stride) {
    const auto read = static_cast<__mmask16>((1U << columns) - 1U);
    __m512 row[16];
    __m512 mixed[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
        row[i] = i < rows ? _mm512_maskz_loadu_ps(read, from + i * from_stride) : _mm512_setzero_ps();
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
        const __m512d low = _mm512_castps_pd(_mm512_unpacklo_ps(row[i], row[i + 1]));
        const __m512d high = _mm512_castps_pd(_mm512_unpackhi_ps(row[i], row[i + 1]));
        const __m512d next_low = _mm512_castps_pd(_mm512_unpacklo_ps(row[i + 2], row[i + 3]));
        const __m512d next_high = _mm512_castps_pd(_mm512_unpackhi_ps(row[i + 2], row[i + 3]));
        mixed[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, next_low));
        mixed[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, next_low));
        mixed[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(high, next_high));
        mixed[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(high, next_high));
    }
    // mixed[4 g + j] holds, in its quarter q, column 4 q + j of the rows 4 g to 4 g + 3.
    constexpr int kEven = 0x88;
    constexpr int kOdd = 0xDD;
    const auto write = [&](int column, __m512 values) {
        if (column < columns) {
            _mm512_storeu_ps(to + column * to_stride, values);
        }
    };
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
        const __m512 even = _mm512_shuffle_f32x4(mixed[j], mixed[4 + j], kEven);
        const __m512 odd = _mm512_shuffle_f32x4(mixed[j], mixed[4 + j], kOdd);
        const __m512 next_even = _mm512_shuffle_f32x4(mixed[8 + j], mixed[12 + j], kEven);
        const __m512 next_odd = _mm512_shuffle_f32x4(mixed[8 + j], mixed[12 + j], kOdd);
        write(j, _mm512_shuffle_f32x4(even, next_even, kEven));
        write(4 + j, _mm512_shuffle_f32x4(odd, next_odd, kEven));
        write(8 + j, _mm512_shuffle_f32x4(even, next_even, kOdd));
        write(12 + j, _mm512_shuffle_f32x4(odd, next_odd, kOdd));
    }
}

#else

inline void transpose_block(Index rows, Index columns, const float* from, Index from_stride, float* to,
                            Index to_stride) {
    for (Index column = 0; column < columns; ++column) {
        float* const target = to + column * to_stride;
        for (Index row = 0; row < rows; ++row) {
            target[row] = from[row * from_stride + column];
        }
        for (Index row = rows; row < kTransposedRows; ++row) {
            target[row] = 0.0F;
        }
    }
}

#endif

// to[column, row] = from[row, column]; `to` is [columns x rows rounded up to kTransposedRows], with zeros there.
inline void transpose(Index rows, Index columns, const float* from, Index from_stride, float* to,
                      Index to_stride) {
    for (Index column = 0; column < columns; column += kTransposedRows) {
        const Index width = columns - column < kTransposedRows ? columns - column : kTransposedRows;
        for (Index row = 0; row < rows; row += kTransposedRows) {
            const Index height = rows - row < kTransposedRows ? rows - row : kTransposedRows;
            transpose_block(height, width, from + row * from_stride + column, from_stride,
                            to + column * to_stride + row, to_stride);
        }
    }
}

}  // namespace
}  // namespace orchestrate::ORCHESTRATE_KERNEL_SET
