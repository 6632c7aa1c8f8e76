// Products of fp32 matrices on the CPU, by the kernels where they are quicker than LibTorch's.
#pragma once

#include <ATen/core/Tensor.h>

namespace orchestrate {

// A matrix whose rows are contiguous, and whether its transpose is meant.
struct ProductSide {
    at::Tensor matrix;
    bool transposed = false;
};

// result = left right, or result += left right. The rows of `result` are contiguous. Uses LibTorch's threads; each
// element is summed in an order that does not depend on their number where the kernels do it.
void multiply_into(const at::Tensor& result, const ProductSide& left, const ProductSide& right,
                   bool accumulate);

}  // namespace orchestrate
