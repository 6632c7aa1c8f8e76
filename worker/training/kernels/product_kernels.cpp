// Products of large matrices: blocks of the left side stay in the second cache, panels of the right side in the first,
// tiles of the result in registers (Goto and van de Geijn 2008).
#include "worker/training/kernels/product_kernels.h"

#include "worker/training/kernels/kernel_transpose.h"
#include "worker/training/kernels/product_tile.h"

namespace orchestrate::ORCHESTRATE_KERNEL_SET {
namespace {

constexpr int kPanelVectors = 2;
constexpr Index kPanelColumns = kPanelVectors * kVectorFloats;
static_assert(kProductColumns % kPanelColumns == 0);
static_assert(kProductRows % kTileRows == 0);

constexpr Index smaller(Index a, Index b) {
    return a < b ? a : b;
}

// Tiles of kTileRows rows, each [depth x kTileRows].
void pack_left(Index first_row, Index rows, Index first_depth, Index depth, const MatrixProduct& product,
               float* packed) {
    for (Index row = 0; row < rows; row += kTileRows) {
        const Index count = smaller(kTileRows, rows - row);
        const float* const from = product.left + first_depth * product.left_stride + first_row + row;
        float* const to = packed + row * depth;
        for (Index k = 0; k < depth; ++k) {
            if (count == kTileRows) {
                memcpy(to + k * kTileRows, from + k * product.left_stride, kTileRows * sizeof(float));
            } else {
                for (Index i = 0; i < count; ++i) {
                    to[k * kTileRows + i] = from[k * product.left_stride + i];
                }
            }
        }
    }
}

// One tile of the result that may be narrower than a panel.
template <Left left>
void result_tile(Index rows, Index columns, Index depth, const float* a, Index a_stride, const float* panel,
                 float* c, Index c_stride, Addend addend) {
    if (columns == kPanelColumns) {
        multiply_tile_of<kPanelVectors, left>(rows, depth, a, a_stride, panel, kPanelColumns, c, c_stride,
                                              addend);
        return;
    }
    float edge[kTileRows * kPanelColumns];
    const auto bytes = static_cast<std::size_t>(columns) * sizeof(float);
    if (addend.values != nullptr) {
        for (Index row = 0; row < rows; ++row) {
            memcpy(edge + row * kPanelColumns, addend.values + row * addend.stride, bytes);
        }
        addend = {edge, kPanelColumns};
    }
    multiply_tile_of<kPanelVectors, left>(rows, depth, a, a_stride, panel, kPanelColumns, edge, kPanelColumns,
                                          addend);
    for (Index row = 0; row < rows; ++row) {
        memcpy(c + row * c_stride, edge + row * kPanelColumns, bytes);
    }
}

}  // namespace

void pack_right(RowRange columns, const MatrixProduct& product, float* packed) {
    for (Index first = columns.begin; first < columns.end; first += kPanelColumns) {
        const Index width = smaller(kPanelColumns, columns.end - first);
        float* const panel = packed + first * product.depth;
        if (!product.right_transposed && width == kPanelColumns) {
            constexpr std::size_t kBytes = kPanelColumns * sizeof(float);  // known, so that no call is made
            for (Index k = 0; k < product.depth; ++k) {
                memcpy(panel + k * kPanelColumns, product.right + k * product.right_stride + first, kBytes);
            }
        } else if (!product.right_transposed) {
            const auto bytes = static_cast<std::size_t>(width) * sizeof(float);
            for (Index k = 0; k < product.depth; ++k) {
                memcpy(panel + k * kPanelColumns, product.right + k * product.right_stride + first, bytes);
            }
        } else {
            for (Index column = 0; column < width; column += kTransposedRows) {
                transpose(smaller(kTransposedRows, width - column), product.depth,
                          product.right + (first + column) * product.right_stride, product.right_stride,
                          panel + column, kPanelColumns);
            }
        }
        for (Index k = 0; k < product.depth && width < kPanelColumns; ++k) {
            for (Index column = width; column < kPanelColumns; ++column) {
                panel[k * kPanelColumns + column] = 0.0F;
            }
        }
    }
}

void multiply(RowRange rows, const MatrixProduct& product, const float* packed, float* scratch) {
    const Index passes = (product.depth + kProductDepth - 1) / kProductDepth;
    const Index depth_of_pass = passes == 0 ? 0 : (product.depth + passes - 1) / passes;
    for (Index first_row = rows.begin; first_row < rows.end; first_row += kProductRows) {
        const Index end_row = smaller(rows.end, first_row + kProductRows);
        for (Index first_depth = 0; first_depth < product.depth; first_depth += depth_of_pass) {
            const Index depth = smaller(depth_of_pass, product.depth - first_depth);
            if (product.left_transposed) {
                pack_left(first_row, end_row - first_row, first_depth, depth, product, scratch);
            }
            for (Index column = 0; column < product.columns; column += kPanelColumns) {
                const float* const panel = packed + column * product.depth + first_depth * kPanelColumns;
                const Index width = smaller(kPanelColumns, product.columns - column);
                for (Index row = first_row; row < end_row; row += kTileRows) {
                    const Index count = smaller(kTileRows, end_row - row);
                    float* const result = product.result + row * product.result_stride + column;
                    const Addend addend = addend_of(product, first_depth, result, column);
                    if (product.left_transposed) {
                        result_tile<Left::by_depth>(count, width, depth, scratch + (row - first_row) * depth,
                                                    kTileRows, panel, result, product.result_stride, addend);
                    } else {
                        result_tile<Left::by_row>(
                            count, width, depth, product.left + row * product.left_stride + first_depth,
                            product.left_stride, panel, result, product.result_stride, addend);
                    }
                }
            }
        }
    }
}

}  // namespace orchestrate::ORCHESTRATE_KERNEL_SET
