// Products of fp32 matrices on the CPU, alone or with work on their rows: by the kernels where they are quicker than
// LibTorch's, with operands rounded to bf16 if asked for.
#pragma once

#include <functional>

#include <ATen/core/Tensor.h>

#include "common/job/job_config.h"
#include "worker/training/kernels/kernels.h"

namespace orchestrate {

// A matrix whose rows are contiguous, and whether its transpose is meant.
struct ProductSide {
    at::Tensor matrix;
    bool transposed = false;
};

// Whether this CPU multiplies bf16 quicker than fp32.
bool multiplies_bf16();

// result = left right + bias; sums are in fp32. The rows of `result` are contiguous; `bias` is that of its columns, or
// undefined. Uses LibTorch's threads; each element is summed in an order that does not depend on their number where the
// kernels do it. bf16 needs multiplies_bf16().
void multiply_into(const at::Tensor& result, const ProductSide& left, const ProductSide& right,
                   Precision precision, const at::Tensor& bias = {});

// What is done with some rows while they are in the cache: before the left side's are read and after the result's are
// written; null: nothing. `chunk` is the part of all rows, of product_chunks(rows), that one thread works on.
struct RowWork {
    std::function<void(std::int64_t chunk, RowRange rows)> before;
    std::function<void(std::int64_t chunk, RowRange rows)> after;
};
std::int64_t product_chunks(std::int64_t rows);

// result = left right with such work.
void multiply_by_rows(const at::Tensor& result, const ProductSide& left, const ProductSide& right,
                      Precision precision, const RowWork& work);

// result += left right.
void add_product_to(const at::Tensor& result, const ProductSide& left, const ProductSide& right,
                    Precision precision);

}  // namespace orchestrate
