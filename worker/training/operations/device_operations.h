// The operations of operations.h on any device, by LibTorch's operations and DeviceKernels. What they read of a batch are
// tensors alone, never numbers of the host but sizes: so they can be recorded once and replayed for batches of one shape.
// With bf16, activations are bf16 and weights are read as bf16; sums, norms, softmax and all that is trained are float.
#pragma once

#include "worker/training/operations/device_kernels.h"
#include "worker/training/operations/operations.h"
#include "worker/training/operations/rounded_weights.h"

namespace orchestrate {

class DeviceOperations {
  public:
    // `rounded` (null: each weight is rounded where it is read) must outlive it.
    DeviceOperations(at::Device device, Precision precision, DeviceKernels kernels, Bf16Weights* rounded);

    DeviceOperations reading(Bf16Weights* rounded) const {
        DeviceOperations other = *this;
        other.rounded_ = rounded;
        return other;
    }

    // As those of Operations; projections add a bias if there is one, attention adds none.
    at::Tensor embed(const BatchTensors& batch, const at::Tensor& word, const at::Tensor& position,
                     const at::Tensor& type, const NormTensors& norm, const Dropout& dropout) const;
    at::Tensor project(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                       RowRange outputs) const;
    at::Tensor attention(const BatchTensors& batch, const at::Tensor& qkv, std::int64_t heads,
                         const Dropout& dropout, at::Tensor* probabilities) const;
    at::Tensor first_token_attention(const BatchTensors& batch, const at::Tensor& query,
                                     const at::Tensor& key_value, std::int64_t heads,
                                     const Dropout& dropout) const;
    at::Tensor add_norm(const BatchTensors& batch, Rows rows, const at::Tensor& values,
                        const at::Tensor& bias, const at::Tensor& residual, const NormTensors& norm,
                        const Dropout& dropout) const;
    at::Tensor bias_gelu(const at::Tensor& values, const at::Tensor& bias) const;
    at::Tensor dropout(const BatchTensors& batch, Rows rows, const at::Tensor& x,
                       const Dropout& dropout) const;
    at::Tensor first_rows(const BatchTensors& batch, const at::Tensor& x) const;
    at::Tensor mean_rows(const BatchTensors& batch, const at::Tensor& x) const;
    at::Tensor pool_texts(const BatchTensors& batch, const at::Tensor& x, WindowPooling pooling) const;

  private:
    struct Padded;
    RowDropout row_dropout(const BatchTensors& batch, Rows rows, const Dropout& dropout) const;
    at::Tensor key_of(const BatchTensors& batch, const Dropout& dropout) const;
    bool uses_flash(std::int64_t head_size, const Dropout& dropout, const at::Tensor* probabilities) const;
    // query: of all rows, or of one per text. [.., hidden]
    at::Tensor exact_attention(const BatchTensors& batch, const at::Tensor& query, const at::Tensor& key,
                               const at::Tensor& value, std::int64_t heads, bool first_query_only,
                               const Dropout& dropout, at::Tensor* probabilities) const;

    at::Device device_;
    at::ScalarType type_;  // of activations
    std::shared_ptr<const DeviceKernels> kernels_;
    Bf16Weights* rounded_;
};

}  // namespace orchestrate
