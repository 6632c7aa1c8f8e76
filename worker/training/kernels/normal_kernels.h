// The normal deviates of one instruction set, for its table. See Kernels for what they are.
#pragma once

#include "worker/training/kernels/kernels.h"

namespace orchestrate::ORCHESTRATE_KERNEL_SET {

void normal(std::uint64_t key, std::int64_t first, std::int64_t count, double deviation, float* out);

}  // namespace orchestrate::ORCHESTRATE_KERNEL_SET
