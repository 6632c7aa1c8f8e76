#include "worker/training/operations/matrix_product.h"

#include "worker/training/kernels/bf16_gemm.h"
#include "worker/training/operations/operation_parts.h"

namespace orchestrate {

using namespace operation_parts;

namespace {

constexpr std::int64_t kPanelsPerChunk = 4;

at::Tensor view(const ProductSide& side) {
    return side.transposed ? side.matrix.t() : side.matrix;
}

MatrixProduct product_of(const Tensor& result, const ProductSide& left, const ProductSide& right) {
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
    };
}

void run_if(const std::function<void(std::int64_t, RowRange)>& work, std::int64_t chunk, RowRange rows) {
    if (work) {
        work(chunk, rows);
    }
}

// So many that what is written to them and what is read of them stay in the second cache, in whole tiles.
std::int64_t rows_at_a_time(const MatrixProduct& product) {
    constexpr std::int64_t kFloatsOfBlock = 1 << 16;
    constexpr std::int64_t kTileRows = 12;
    const std::int64_t rows = kFloatsOfBlock / std::max<std::int64_t>({1, product.columns, product.depth});
    return std::clamp<std::int64_t>(rows / kTileRows, 1, kProductRows / kTileRows) * kTileRows;
}

// Packs the right side, then multiplies row by row, each shared by threads. `Kernel` has pack_right and multiply.
template <class Kernel, class Number>
void multiply_by(const Kernel& kernel, const MatrixProduct& product, const RowWork& work, Number* packed,
                 std::int64_t scratch_size) {
    const std::int64_t panels = (product.columns + kProductColumns - 1) / kProductColumns;
    in_chunks(panels, chunks_for(panels, kPanelsPerChunk), [&](std::int64_t, RowRange range) {
        const std::int64_t end = std::min(product.columns, range.end * kProductColumns);
        kernel.pack_right({range.begin * kProductColumns, end}, product, packed);
    });
    const std::int64_t chunks = product_chunks(product.rows);
    const auto scratch = PerChunk::scratch(chunks, scratch_size);
    const bool has_work = work.before || work.after;
    const std::int64_t rows_of_block = has_work ? rows_at_a_time(product) : product.rows;
    in_chunks(product.rows, chunks, [&](std::int64_t chunk, RowRange range) {
        for (std::int64_t begin = range.begin; begin < range.end; begin += rows_of_block) {
            const RowRange block{begin, std::min(range.end, begin + rows_of_block)};
            run_if(work.before, chunk, block);
            kernel.multiply(block, product, packed, scratch.of(chunk));
            run_if(work.after, chunk, block);
        }
    });
}

// Whether the kernels did it.
bool multiply_by_kernels(const MatrixProduct& product, Precision precision, const RowWork& work = {}) {
    constexpr std::int64_t kFloat = sizeof(float);
    if (precision == Precision::bf16) {
        const auto packed = PerChunk::scratch(1, reduced_right_bytes(product) / kFloat);
        multiply_by(*bf16_gemm(), product, work, packed.of(0), reduced_scratch_bytes(product) / kFloat);
        return true;
    }
    if (best_kernels().fast_products) {
        const auto packed = PerChunk::scratch(1, packed_right_floats(product));
        multiply_by(best_kernels(), product, work, packed.of(0), product_scratch_floats(product));
        return true;
    }
    return false;
}

}  // namespace

bool multiplies_bf16() {
    return bf16_gemm() != nullptr;
}

void multiply_into(const Tensor& result, const ProductSide& left, const ProductSide& right,
                   Precision precision, const Tensor& bias) {
    MatrixProduct product = product_of(result, left, right);
    product.bias = bias.defined() ? data(bias) : nullptr;
    if (multiply_by_kernels(product, precision)) {
        return;
    }
    Tensor target = result;
    if (bias.defined()) {
        at::addmm_out(target, bias, view(left), view(right));
    } else {
        at::mm_out(target, view(left), view(right));
    }
}

std::int64_t product_chunks(std::int64_t rows) {
    return chunks_for(rows, kRowsPerChunk);
}

void multiply_by_rows(const Tensor& result, const ProductSide& left, const ProductSide& right,
                      Precision precision, const RowWork& work) {
    const MatrixProduct product = product_of(result, left, right);
    if (multiply_by_kernels(product, precision, work)) {
        return;
    }
    const auto on_all_rows = [&](const std::function<void(std::int64_t, RowRange)>& one) {
        if (one) {
            in_chunks(product.rows, product_chunks(product.rows), one);
        }
    };
    Tensor target = result;
    on_all_rows(work.before);
    at::mm_out(target, view(left), view(right));
    on_all_rows(work.after);
}

void add_product_to(const Tensor& result, const ProductSide& left, const ProductSide& right,
                    Precision precision) {
    MatrixProduct product = product_of(result, left, right);
    product.accumulate = true;
    if (!multiply_by_kernels(product, precision)) {
        Tensor target = result;
        target.addmm_(view(left), view(right));
    }
}

}  // namespace orchestrate
