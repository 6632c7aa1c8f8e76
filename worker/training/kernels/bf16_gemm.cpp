// Compiled for AVX512_BF16 alone. Blocked as product_kernels.cpp. Both sides are kept as pairs of bf16 numbers that
// follow each other in depth, the first in the low half of 32 bits.
#include "worker/training/kernels/bf16_gemm.h"

#include <immintrin.h>

#include "worker/training/kernels/kernel_transpose.h"
#include "worker/training/kernels/product_tile.h"

namespace orchestrate::ORCHESTRATE_KERNEL_SET {
namespace {

using Pair = std::uint32_t;

constexpr Index kLanes = 16;
constexpr Index kPanelColumns = 2 * kLanes;
constexpr Index kDepthOfPass = 2 * kProductDepth;
static_assert(kProductColumns % kPanelColumns == 0);
static_assert(kProductRows % kTileRows == 0);

constexpr Index smaller(Index a, Index b) {
    return a < b ? a : b;
}

constexpr Index pairs_of(Index depth) {
    return (depth + 1) / 2;
}

inline __mmask16 first_lanes(Index count) {
    return static_cast<__mmask16>(count >= kLanes ? 0xFFFFU : (1U << (count < 0 ? 0 : count)) - 1U);
}

// One number of `low` and one of `high` for each of up to 16 columns; `high` null: 0.
inline __m512i interleave(const float* low, const float* high, Index count) {
    const __mmask16 mask = first_lanes(count);
    const auto round = [mask](const float* from) {
        const __m256bh rounded = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, from));
        return _mm512_cvtepu16_epi32((__m256i)rounded);
    };
    const __m512i lower = round(low);
    return high == nullptr ? lower : _mm512_or_si512(lower, _mm512_slli_epi32(round(high), 16));
}

// `count` numbers that follow each other in depth as pairs; the last one's partner is 0 if they are odd.
inline void round_row(const float* from, Index count, Pair* to) {
    Index k = 0;
    for (; k + kLanes <= count; k += kLanes) {
        const __m256bh rounded = _mm512_cvtneps_pbh(_mm512_loadu_ps(from + k));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + k / 2), (__m256i)rounded);
    }
    if (k < count) {
        const __m256bh rounded = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(first_lanes(count - k), from + k));
        Pair rest[kLanes / 2];
        memcpy(rest, &rounded, sizeof rest);
        memcpy(to + k / 2, rest, static_cast<std::size_t>(pairs_of(count - k)) * sizeof(Pair));
    }
}

// c = a b + addend (see product_tile.h) for a whole panel; a[row, k] lies at row * row_stride + k * pair_stride.
template <int Rows>
inline void multiply_tile(Index pairs, const Pair* a, Index row_stride, Index pair_stride, const Pair* panel,
                          float* c, Index c_stride, Addend addend) {
    __m512 left[Rows];
    __m512 right[Rows];
#pragma GCC unroll 16
    for (int row = 0; row < Rows; ++row) {
        const float* const added = addend.values + row * addend.stride;
        left[row] = addend.values != nullptr ? _mm512_loadu_ps(added) : _mm512_setzero_ps();
        right[row] = addend.values != nullptr ? _mm512_loadu_ps(added + kLanes) : _mm512_setzero_ps();
    }
    for (Index k = 0; k < pairs; ++k) {
        const auto b_left = (__m512bh)_mm512_loadu_si512(panel + k * kPanelColumns);
        const auto b_right = (__m512bh)_mm512_loadu_si512(panel + k * kPanelColumns + kLanes);
#pragma GCC unroll 16
        for (int row = 0; row < Rows; ++row) {
            const auto factor =
                (__m512bh)_mm512_set1_epi32(static_cast<int>(a[row * row_stride + k * pair_stride]));
            left[row] = _mm512_dpbf16_ps(left[row], factor, b_left);
            right[row] = _mm512_dpbf16_ps(right[row], factor, b_right);
        }
    }
#pragma GCC unroll 16
    for (int row = 0; row < Rows; ++row) {
        _mm512_storeu_ps(c + row * c_stride, left[row]);
        _mm512_storeu_ps(c + row * c_stride + kLanes, right[row]);
    }
}

// One block of the left side in scratch memory: by row, or in tiles of kTileRows if it is transposed.
struct LeftBlock {
    const Pair* pairs;
    Index row_stride;
    Index pair_stride;
};

LeftBlock pack_left(Index first_row, Index rows, Index first_depth, Index depth, const MatrixProduct& product,
                    Pair* packed) {
    const Index pairs = pairs_of(depth);
    if (!product.left_transposed) {
        for (Index row = 0; row < rows; ++row) {
            round_row(product.left + (first_row + row) * product.left_stride + first_depth, depth,
                      packed + row * pairs);
        }
        return {packed, pairs, 1};
    }
    for (Index row = 0; row < rows; row += kTileRows) {
        const Index count = smaller(kTileRows, rows - row);
        Pair* const to = packed + row * pairs;
        for (Index k = 0; k < pairs; ++k) {
            const float* const low =
                product.left + (first_depth + 2 * k) * product.left_stride + first_row + row;
            const bool alone = 2 * k + 1 == depth;
            const __m512i both = interleave(low, alone ? nullptr : low + product.left_stride, count);
            _mm512_mask_storeu_epi32(to + k * kTileRows, first_lanes(count), both);
        }
    }
    return {packed, 1, kTileRows};
}

void multiply_rows(Index rows, Index pairs, const Pair* a, const LeftBlock& block, const Pair* panel,
                   float* c, Index c_stride, Addend addend) {
    const auto run = [&]<int Rows>() {
        multiply_tile<Rows>(pairs, a, block.row_stride, block.pair_stride, panel, c, c_stride, addend);
        a += Rows * block.row_stride;
        c += Rows * c_stride;
        addend = addend.from_row(Rows);
        rows -= Rows;
    };
    if (rows == kTileRows) {
        run.template operator()<kTileRows>();
        return;
    }
    if (rows >= 8) {
        run.template operator()<8>();
    }
    if (rows >= 4) {
        run.template operator()<4>();
    }
    if (rows >= 2) {
        run.template operator()<2>();
    }
    if (rows >= 1) {
        run.template operator()<1>();
    }
}

void pack_right(RowRange columns, const MatrixProduct& product, void* packed) {
    const Index pairs = pairs_of(product.depth);
    for (Index first = columns.begin; first < columns.end; first += kPanelColumns) {
        const Index width = smaller(kPanelColumns, columns.end - first);
        Pair* const panel = static_cast<Pair*>(packed) + first * pairs;
        if (product.right_transposed) {
            constexpr Index kPiece = 16;
            for (Index begin = 0; begin < pairs; begin += kPiece) {
                const Index count = smaller(kPiece, pairs - begin);
                Pair rounded[kPanelColumns][kPiece] = {};
                for (Index column = 0; column < width; ++column) {
                    round_row(product.right + (first + column) * product.right_stride + 2 * begin,
                              smaller(2 * count, product.depth - 2 * begin), rounded[column]);
                }
                for (Index column = 0; column < kPanelColumns; column += kTransposedRows) {
                    transpose_block(kTransposedRows, count, reinterpret_cast<const float*>(rounded[column]),
                                    kPiece, reinterpret_cast<float*>(panel + begin * kPanelColumns + column),
                                    kPanelColumns);
                }
            }
            continue;
        }
        for (Index k = 0; k < pairs; ++k) {
            const float* const low = product.right + 2 * k * product.right_stride + first;
            const float* const high = 2 * k + 1 == product.depth ? nullptr : low + product.right_stride;
            Pair* const to = panel + k * kPanelColumns;
            _mm512_storeu_si512(to, interleave(low, high, width));
            _mm512_storeu_si512(
                to + kLanes,
                width > kLanes
                    ? interleave(low + kLanes, high == nullptr ? nullptr : high + kLanes, width - kLanes)
                    : _mm512_setzero_si512());
        }
    }
}

void multiply(RowRange rows, const MatrixProduct& product, const void* packed, void* scratch) {
    const Index passes = (product.depth + kDepthOfPass - 1) / kDepthOfPass;
    const Index depth_of_pass = passes == 0 ? 0 : 2 * pairs_of((product.depth + passes - 1) / passes);
    const Index all_pairs = pairs_of(product.depth);
    for (Index first_row = rows.begin; first_row < rows.end; first_row += kProductRows) {
        const Index end_row = smaller(rows.end, first_row + kProductRows);
        for (Index first_depth = 0; first_depth < product.depth; first_depth += depth_of_pass) {
            const Index depth = smaller(depth_of_pass, product.depth - first_depth);
            const LeftBlock block = pack_left(first_row, end_row - first_row, first_depth, depth, product,
                                              static_cast<Pair*>(scratch));
            for (Index column = 0; column < product.columns; column += kPanelColumns) {
                const Pair* const panel =
                    static_cast<const Pair*>(packed) + column * all_pairs + first_depth / 2 * kPanelColumns;
                const Index width = smaller(kPanelColumns, product.columns - column);
                for (Index row = first_row; row < end_row; row += kTileRows) {
                    const Index count = smaller(kTileRows, end_row - row);
                    const Pair* const a = block.pairs + (row - first_row) * pairs_of(depth);
                    float* const c = product.result + row * product.result_stride + column;
                    Addend addend = addend_of(product, first_depth, c, column);
                    if (width == kPanelColumns) {
                        multiply_rows(count, pairs_of(depth), a, block, panel, c, product.result_stride,
                                      addend);
                        continue;
                    }
                    float edge[kTileRows * kPanelColumns] = {};
                    const auto bytes = static_cast<std::size_t>(width) * sizeof(float);
                    if (addend.values != nullptr) {
                        for (Index i = 0; i < count; ++i) {
                            memcpy(edge + i * kPanelColumns, addend.values + i * addend.stride, bytes);
                        }
                        addend = {edge, kPanelColumns};
                    }
                    multiply_rows(count, pairs_of(depth), a, block, panel, edge, kPanelColumns, addend);
                    for (Index i = 0; i < count; ++i) {
                        memcpy(c + i * product.result_stride, edge + i * kPanelColumns, bytes);
                    }
                }
            }
        }
    }
}

constexpr Bf16Gemm kProducts = {.pack_right = pack_right, .multiply = multiply};

}  // namespace

const Bf16Gemm& products() {
    return kProducts;
}

}  // namespace orchestrate::ORCHESTRATE_KERNEL_SET
