// The attention kernels of one instruction set, for its table. See Kernels for what they do.
#pragma once

#include "worker/training/kernels/kernels.h"

namespace orchestrate::ORCHESTRATE_KERNEL_SET {

void attention(RowRange texts, const AttentionShape& shape, const Dropout& dropout, const ColumnsOf& query,
               const ColumnsOf& key, const ColumnsOf& value, float* weights, float* output,
               std::int64_t output_stride, float* scratch);

void attention_backward(RowRange texts, const AttentionShape& shape, const Dropout& dropout,
                        const ColumnsOf& query, const ColumnsOf& key, const ColumnsOf& value,
                        const float* weights, const float* grad_output, std::int64_t grad_output_stride,
                        const GradientOfColumns& grad_query, const GradientOfColumns& grad_key,
                        const GradientOfColumns& grad_value, float* scratch);

}  // namespace orchestrate::ORCHESTRATE_KERNEL_SET
