// The differentiable operations that a Transformer over packed texts is written with. On CPUs the
// hand-written kernels do the work, on other devices (or if asked for) DeviceOperations; both give the same values
// to rounding. All matrices have one row per token and are contiguous; on the CPU they are fp32.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "common/job/job_config.h"
#include "worker/training/batches/batches.h"
#include "worker/training/kernels/kernels.h"
#include "worker/training/kernels/keyed_random.h"
#include "worker/training/operations/batch_tensors.h"
#include "worker/training/operations/device_kernels.h"

namespace orchestrate {

class DeviceOperations;
class Bf16Weights;

// A packed batch on its way through the model, kept by the operations until their backward pass is done. Not thread-safe.
class BatchLayout {
  public:
    explicit BatchLayout(PackedBatch packed) : batch(std::move(packed)) {}
    // Of tensors alone, for DeviceOperations; `batch` is empty.
    explicit BatchLayout(BatchTensors tensors) : tensors_(std::move(tensors)) {}

    // On a device; made when first asked for.
    const BatchTensors& tensors(at::Device device) const {
        if (!tensors_) {
            tensors_ = tensors_of(batch, device);
        }
        return *tensors_;
    }

    PackedBatch batch;

  private:
    mutable std::optional<BatchTensors> tensors_;
};
using BatchLayoutPtr = std::shared_ptr<const BatchLayout>;

// Which rows an operation sees: every token, or the first one of each text.
enum class Rows { tokens, texts };

struct NormTensors {
    at::Tensor gain;
    at::Tensor bias;
    double epsilon = 1e-5;
};

class Operations {
  public:
    // `composite`: use DeviceOperations on the CPU too (tests compare the two), with these kernels.
    // `precision`: of the products with weights; bf16 rounds their operands and sums in fp32, as torch.autocast does.
    explicit Operations(at::Device device, bool composite = false, Precision precision = Precision::fp32,
                        DeviceKernels kernels = plain_kernels());

    // Weights that are views of `values` (one flat tensor) are then rounded once per step and not where they are read.
    void round_weights_of(Bf16Weights* rounded);

    // dropout(LayerNorm(word[token] + position[place] + type[type of the token])) -> [tokens, hidden].
    at::Tensor embed(const BatchLayoutPtr& layout, const at::Tensor& word, const at::Tensor& position,
                     const at::Tensor& type, const NormTensors& norm, const Dropout& dropout) const;

    // x weight^T + bias, these outputs alone, for attention. The gradient of the bias is given by the kernels' attention,
    // which has its sums at hand, or else by this.
    at::Tensor project(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                       RowRange outputs) const;

    // gelu(x weight^T + bias).
    at::Tensor project_gelu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) const;

    // LayerNorm(residual + dropout(x weight^T + bias)).
    at::Tensor project_add_norm(const BatchLayoutPtr& layout, Rows rows, const at::Tensor& x,
                                const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& residual,
                                const NormTensors& norm, const Dropout& dropout) const;

    // Attention of every text within itself. qkv [tokens, 3 hidden] (query, key, value side by side, from project) has
    // `bias` [3 hidden] in it, which is named for its gradient -> [tokens, hidden]. With `probabilities`, it becomes what
    // softmax gave, padded with zeros: [texts, heads, longest, longest].
    at::Tensor attention(const BatchLayoutPtr& layout, const at::Tensor& qkv, const at::Tensor& bias,
                         std::int64_t heads, const Dropout& dropout,
                         at::Tensor* probabilities = nullptr) const;

    // The same for the query of each text's first token alone. query [texts, hidden], key_value [tokens, 2 hidden] ->
    // [texts, hidden].
    at::Tensor first_token_attention(const BatchLayoutPtr& layout, const at::Tensor& query,
                                     const at::Tensor& key_value, const at::Tensor& bias, std::int64_t heads,
                                     const Dropout& dropout) const;

    // x * mask, one row per text.
    at::Tensor dropout(const BatchLayoutPtr& layout, const at::Tensor& x, const Dropout& dropout) const;

    // The first row of each text.
    at::Tensor first_rows(const BatchLayoutPtr& layout, const at::Tensor& x) const;

    // The mean of the rows of each text.
    at::Tensor mean_rows(const BatchLayoutPtr& layout, const at::Tensor& x) const;

    // One row per example from those of its texts: their mean, or each column's greatest.
    at::Tensor pool_texts(const BatchLayoutPtr& layout, const at::Tensor& x, WindowPooling pooling) const;

    at::Device device() const { return device_; }
    // Whether only the tensors of a layout are read: its work can be recorded.
    bool reads_tensors_only() const { return on_device_ != nullptr; }

  private:
    const BatchTensors& tensors(const BatchLayoutPtr& layout) const { return layout->tensors(device_); }

    at::Device device_;
    Precision precision_ = Precision::fp32;
    std::shared_ptr<const DeviceOperations> on_device_;  // null: our kernels
};

}  // namespace orchestrate
