#include "worker/training/matrix_product.h"

#include "worker/training/operation_parts.h"

namespace orchestrate {

using namespace operation_parts;

namespace {

constexpr std::int64_t kPanelsPerChunk = 4;

at::Tensor view(const ProductSide& side) {
    return side.transposed ? side.matrix.t() : side.matrix;
}

}  // namespace

void multiply_into(const Tensor& result, const ProductSide& left, const ProductSide& right, bool accumulate) {
    const Kernels& kernels = best_kernels();
    if (!kernels.fast_products) {
        Tensor target = result;
        if (accumulate) {
            target.addmm_(view(left), view(right));
        } else {
            at::mm_out(target, view(left), view(right));
        }
        return;
    }
    const MatrixProduct product{
        .rows = result.size(0),
        .columns = result.size(1),
        .depth = left.matrix.size(left.transposed ? 0 : 1),
        .left = data(left.matrix),
        .left_stride = left.matrix.stride(0),
        .left_transposed = left.transposed,
        .right = data(right.matrix),
        .right_stride = right.matrix.stride(0),
        .right_transposed = right.transposed,
        .result = mutable_data(result),
        .result_stride = result.stride(0),
        .accumulate = accumulate,
    };
    const Tensor packed = at::empty({packed_right_floats(product)}, at::kFloat);
    const std::int64_t panels = (product.columns + kProductColumns - 1) / kProductColumns;
    in_chunks(panels, chunks_for(panels, kPanelsPerChunk), [&](std::int64_t, RowRange range) {
        const std::int64_t end = std::min(product.columns, range.end * kProductColumns);
        kernels.pack_right({range.begin * kProductColumns, end}, product, mutable_data(packed));
    });
    const std::int64_t chunks = chunks_for(product.rows, kRowsPerChunk);
    const auto scratch = PerChunk::scratch(chunks, product_scratch_floats(product));
    in_chunks(product.rows, chunks, [&](std::int64_t chunk, RowRange range) {
        kernels.multiply(range, product, data(packed), scratch.of(chunk));
    });
}

}  // namespace orchestrate
