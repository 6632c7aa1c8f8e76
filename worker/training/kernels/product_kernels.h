// The matrix products of one instruction set, for its table. See Kernels for what they do.
#pragma once

#include "worker/training/kernels/kernels.h"

namespace orchestrate::ORCHESTRATE_KERNEL_SET {

void pack_right(RowRange columns, const MatrixProduct& product, float* packed);

void multiply(RowRange rows, const MatrixProduct& product, const float* packed, float* scratch);

}  // namespace orchestrate::ORCHESTRATE_KERNEL_SET
