// The differentiable operations that a Transformer over packed texts is written with. On CPUs the
// hand-written kernels do the work, on other devices (or if asked for) LibTorch's; both give the same values
// to rounding. All matrices have one row per token and are fp32 and contiguous.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "common/job_config.h"
#include "worker/training/batches.h"
#include "worker/training/kernels.h"
#include "worker/training/keyed_random.h"

namespace orchestrate {

// A packed batch on its way through the model, kept by the operations until their backward pass is done.
struct BatchLayout {
    explicit BatchLayout(PackedBatch packed) : batch(std::move(packed)) {}
    PackedBatch batch;
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
    // `composite`: use LibTorch's operations on the CPU too (tests compare the two).
    // `precision`: of the products with weights; bf16 rounds their operands and sums in fp32, as torch.autocast does.
    explicit Operations(at::Device device, bool composite = false, Precision precision = Precision::fp32);

    // dropout(LayerNorm(word[token] + position[place] + type[type of the token])) -> [tokens, hidden].
    at::Tensor embed(const BatchLayoutPtr& layout, const at::Tensor& word, const at::Tensor& position,
                     const at::Tensor& type, const NormTensors& norm, const Dropout& dropout) const;

    // x weight^T, without a bias (the operation that takes the product adds it).
    at::Tensor project(const at::Tensor& x, const at::Tensor& weight) const;
    // The same with these rows of the weight alone: some of its outputs.
    at::Tensor project(const at::Tensor& x, const at::Tensor& weight, RowRange outputs) const;

    // Attention of every text within itself. qkv [tokens, 3 hidden] (query, key, value side by side, without
    // bias), bias [3 hidden] -> [tokens, hidden]. With `probabilities`, it becomes what softmax gave, padded with
    // zeros: [texts, heads, longest, longest].
    at::Tensor attention(const BatchLayoutPtr& layout, const at::Tensor& qkv, const at::Tensor& bias,
                         std::int64_t heads, const Dropout& dropout,
                         at::Tensor* probabilities = nullptr) const;

    // The same for the query of each text's first token alone. query [texts, hidden], key_value [tokens, 2
    // hidden]
    // -> [texts, hidden].
    at::Tensor first_token_attention(const BatchLayoutPtr& layout, const at::Tensor& query,
                                     const at::Tensor& key_value, const at::Tensor& bias, std::int64_t heads,
                                     const Dropout& dropout) const;

    // LayerNorm(residual + dropout(values + bias)).
    at::Tensor add_norm(const BatchLayoutPtr& layout, Rows rows, const at::Tensor& values,
                        const at::Tensor& bias, const at::Tensor& residual, const NormTensors& norm,
                        const Dropout& dropout) const;

    // gelu(values + bias). `values` is overwritten: nothing else may use it.
    at::Tensor bias_gelu(const at::Tensor& values, const at::Tensor& bias) const;

    // x * mask, one row per text.
    at::Tensor dropout(const BatchLayoutPtr& layout, const at::Tensor& x, const Dropout& dropout) const;

    // The first row of each text.
    at::Tensor first_rows(const BatchLayoutPtr& layout, const at::Tensor& x) const;

    // The mean of the rows of each text.
    at::Tensor mean_rows(const BatchLayoutPtr& layout, const at::Tensor& x) const;

    // One row per example from those of its texts: their mean, or each column's greatest.
    at::Tensor pool_texts(const BatchLayoutPtr& layout, const at::Tensor& x, WindowPooling pooling) const;

    at::Device device() const { return device_; }

  private:
    // 0 or scale for each element of `rows` x columns.
    at::Tensor mask(const BatchLayoutPtr& layout, Rows rows, std::int64_t columns,
                    const Dropout& dropout) const;

    at::Tensor composite_attention(const BatchLayoutPtr& layout, const at::Tensor& query,
                                   const at::Tensor& key, const at::Tensor& value, std::int64_t heads,
                                   bool first_query_only, const Dropout& dropout,
                                   at::Tensor* probabilities = nullptr) const;

    at::Device device_;
    bool composite_ = false;
    Precision precision_ = Precision::fp32;
};

}  // namespace orchestrate
