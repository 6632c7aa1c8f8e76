#include "worker/training/matrix_product.h"

#include "worker/training/operation_parts.h"
#include "worker/training/reduced_products.h"

namespace orchestrate {

using namespace operation_parts;

namespace {

constexpr std::int64_t kPanelsPerChunk = 4;

at::Tensor view(const ProductSide& side) {
    return side.transposed ? side.matrix.t() : side.matrix;
}

MatrixProduct product_of(const Tensor& result, const ProductSide& left, const ProductSide& right,
                         bool accumulate) {
    return {
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
}

void multiply_by_libtorch(const Tensor& result, const ProductSide& left, const ProductSide& right,
                          bool accumulate) {
    Tensor target = result;
    if (accumulate) {
        target.addmm_(view(left), view(right));
    } else {
        at::mm_out(target, view(left), view(right));
    }
}

// Packs the right side, then multiplies row by row, each shared by threads. `Kernel` has pack_right and multiply.
template <class Kernel, class Number>
void multiply_by(const Kernel& kernel, const MatrixProduct& product, Number* packed,
                 std::int64_t scratch_size) {
    const std::int64_t panels = (product.columns + kProductColumns - 1) / kProductColumns;
    in_chunks(panels, chunks_for(panels, kPanelsPerChunk), [&](std::int64_t, RowRange range) {
        const std::int64_t end = std::min(product.columns, range.end * kProductColumns);
        kernel.pack_right({range.begin * kProductColumns, end}, product, packed);
    });
    const std::int64_t chunks = chunks_for(product.rows, kRowsPerChunk);
    const auto scratch = PerChunk::scratch(chunks, scratch_size);
    in_chunks(product.rows, chunks, [&](std::int64_t chunk, RowRange range) {
        kernel.multiply(range, product, packed, scratch.of(chunk));
    });
}

}  // namespace

bool multiplies_bf16() {
    return reduced_products() != nullptr;
}

void multiply_into(const Tensor& result, const ProductSide& left, const ProductSide& right, bool accumulate,
                   Precision precision) {
    const MatrixProduct product = product_of(result, left, right, accumulate);
    constexpr std::int64_t kFloat = sizeof(float);
    if (precision == Precision::bf16) {
        const Tensor packed = at::empty({reduced_right_bytes(product) / kFloat}, at::kFloat);
        multiply_by(*reduced_products(), product, mutable_data(packed),
                    reduced_scratch_bytes(product) / kFloat);
    } else if (best_kernels().fast_products) {
        const Tensor packed = at::empty({packed_right_floats(product)}, at::kFloat);
        multiply_by(best_kernels(), product, mutable_data(packed), product_scratch_floats(product));
    } else {
        multiply_by_libtorch(result, left, right, accumulate);
    }
}

}  // namespace orchestrate
