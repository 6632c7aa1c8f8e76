// The innermost loop of all matrix products of one instruction set: a tile of the result stays in registers. Included
// like kernel_math.h.
#pragma once

#include "worker/training/kernels/kernel_math.h"

namespace orchestrate::ORCHESTRATE_KERNEL_SET {
namespace {

#if defined(__AVX512F__)
constexpr Index kVectorFloats = 16;
constexpr int kTileRows = 12;  // 24 of the 32 registers hold the result
#else
constexpr Index kVectorFloats = 8;
constexpr int kTileRows = 6;  // 12 of the 16
#endif
using Vector = float __attribute__((vector_size(kVectorFloats * sizeof(float)), aligned(4), may_alias));

// Whether a[row, k] lies at a[row * stride + k] or at a[k * stride + row].
enum class Left { by_row, by_depth };

// What is added to a product, row by row: the result's own memory if it accumulates; stride 0: the same for all rows;
// null: nothing.
struct Addend {
    const float* values = nullptr;
    Index stride = 0;

    Addend from_row(Index row) const {
        return values == nullptr ? *this : Addend{values + row * stride, stride};
    }
};

// What a pass over a part of the depth goes on from, at a column of the result.
inline Addend addend_of(const MatrixProduct& product, Index first_depth, const float* result, Index column) {
    if (product.accumulate || first_depth > 0) {
        return {result, product.result_stride};
    }
    return product.bias == nullptr ? Addend{} : Addend{product.bias + column, 0};
}

// c = a b + addend: c is [Rows x Vectors * kVectorFloats], b row-major with that many columns.
template <int Rows, int Vectors, Left left>
inline void multiply_tile(Index depth, const float* a, Index a_stride, const float* b, Index b_stride,
                          float* c, Index c_stride, Addend addend) {
    Vector sum[Rows][Vectors];
#pragma GCC unroll 16
    for (int row = 0; row < Rows; ++row) {
#pragma GCC unroll 4
        for (int i = 0; i < Vectors; ++i) {
            sum[row][i] = addend.values == nullptr
                              ? Vector{}
                              : *reinterpret_cast<const Vector*>(addend.values + row * addend.stride +
                                                                 i * kVectorFloats);
        }
    }
    for (Index k = 0; k < depth; ++k) {
        Vector right[Vectors];
#pragma GCC unroll 4
        for (int i = 0; i < Vectors; ++i) {
            right[i] = *reinterpret_cast<const Vector*>(b + k * b_stride + i * kVectorFloats);
        }
#pragma GCC unroll 16
        for (int row = 0; row < Rows; ++row) {
            const float factor = left == Left::by_row ? a[row * a_stride + k] : a[k * a_stride + row];
#pragma GCC unroll 4
            for (int i = 0; i < Vectors; ++i) {
                sum[row][i] += factor * right[i];
            }
        }
    }
#pragma GCC unroll 16
    for (int row = 0; row < Rows; ++row) {
#pragma GCC unroll 4
        for (int i = 0; i < Vectors; ++i) {
            *reinterpret_cast<Vector*>(c + row * c_stride + i * kVectorFloats) = sum[row][i];
        }
    }
}

// The same for 1 to kTileRows rows.
template <int Vectors, Left left>
inline void multiply_tile_of(Index rows, Index depth, const float* a, Index a_stride, const float* b,
                             Index b_stride, float* c, Index c_stride, Addend addend) {
    const Index a_row = left == Left::by_row ? a_stride : 1;
    const auto advance = [&](Index done) {
        a += done * a_row;
        c += done * c_stride;
        addend = addend.from_row(done);
        rows -= done;
    };
    if (rows == kTileRows) {
        multiply_tile<kTileRows, Vectors, left>(depth, a, a_stride, b, b_stride, c, c_stride, addend);
        return;
    }
    if (rows >= 8 && kTileRows > 8) {
        multiply_tile<8, Vectors, left>(depth, a, a_stride, b, b_stride, c, c_stride, addend);
        advance(8);
    }
    if (rows >= 4) {
        multiply_tile<4, Vectors, left>(depth, a, a_stride, b, b_stride, c, c_stride, addend);
        advance(4);
    }
    if (rows >= 2) {
        multiply_tile<2, Vectors, left>(depth, a, a_stride, b, b_stride, c, c_stride, addend);
        advance(2);
    }
    if (rows >= 1) {
        multiply_tile<1, Vectors, left>(depth, a, a_stride, b, b_stride, c, c_stride, addend);
    }
}

}  // namespace
}  // namespace orchestrate::ORCHESTRATE_KERNEL_SET
