// The attention kernels of one instruction set, for its table. See Kernels for what they do.
#pragma once

#include "worker/training/kernels.h"

namespace orchestrate::ORCHESTRATE_KERNEL_SET {

void attention(RowRange texts, const AttentionShape& shape, const Dropout& dropout,
               const BiasedColumns& query, const BiasedColumns& key, const BiasedColumns& value,
               float* weights, float* output, std::int64_t output_stride, float* scratch);

void attention_backward(RowRange texts, const AttentionShape& shape, const Dropout& dropout,
                        const BiasedColumns& query, const BiasedColumns& key, const BiasedColumns& value,
                        const float* weights, const float* grad_output, std::int64_t grad_output_stride,
                        const BiasedColumnsGradient& grad_query, const BiasedColumnsGradient& grad_key,
                        const BiasedColumnsGradient& grad_value, float* scratch);

}  // namespace orchestrate::ORCHESTRATE_KERNEL_SET
