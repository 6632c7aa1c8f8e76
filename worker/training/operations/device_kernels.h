// What devices may do better than one LibTorch operation after another: keyed dropout, the passes between the matrix
// products, attention over packed texts. plain_kernels() does all of it with LibTorch's operations, on every device; the CUDA
// part puts others in their places, once it has found that they give the same.
#pragma once

#include <functional>

#include <ATen/core/Tensor.h>

#include "worker/training/kernels/keyed_random.h"
#include "worker/training/operations/batch_tensors.h"

namespace orchestrate {

// Dropout of the rows of a matrix; with dropout.threshold 0 nothing is dropped and nothing else is read.
struct RowDropout {
    KeyedRows rows;
    Dropout dropout;
    at::Tensor key;  // two words, of seed and step
};

struct AddNormResult {
    at::Tensor output;      // as the values
    at::Tensor normalized;  // before gain and bias; as the values
    at::Tensor rstd;        // [rows], float
};

struct AddNormGradients {
    at::Tensor values;    // as the values
    at::Tensor residual;  // as the values
    at::Tensor bias;      // [columns], float; so the next two
    at::Tensor gain;
    at::Tensor norm_bias;
};

// Attention over packed texts, each within itself: query [rows, heads, head size], key and value alike; texts are cut by
// query_begin and key_begin, [texts + 1] whole numbers of 32 bits.
struct VariedLengths {
    at::Tensor query_begin;
    at::Tensor key_begin;
    std::int64_t longest_query = 0;
    std::int64_t longest_key = 0;
};

struct FlashResult {
    at::Tensor output;  // [rows of the query, heads, head size]
    at::Tensor log_sum;
    at::Tensor random_state;
    at::Tensor unused;
};

struct FlashGradients {
    at::Tensor query;
    at::Tensor key;
    at::Tensor value;
};

// Values are bf16 or float, biases and gains float; sums and statistics are float.
struct DeviceKernels {
    // bool [rows, columns]: what is not dropped.
    std::function<at::Tensor(const RowDropout& dropout, std::int64_t columns)> keep;

    // LayerNorm(residual + dropout(values + bias)).
    std::function<AddNormResult(const at::Tensor& values, const at::Tensor& bias, const at::Tensor& residual,
                                const at::Tensor& gain, const at::Tensor& norm_bias, double epsilon,
                                const RowDropout&)>
        add_norm;
    std::function<AddNormGradients(const at::Tensor& gradient, const AddNormResult& forward,
                                   const at::Tensor& gain, const RowDropout&)>
        add_norm_backward;

    // gelu(values + bias), by the error function; and the gradients of values and (float) bias.
    std::function<at::Tensor(const at::Tensor& values, const at::Tensor& bias)> bias_gelu;
    std::function<std::pair<at::Tensor, at::Tensor>(const at::Tensor& gradient, const at::Tensor& values,
                                                    const at::Tensor& bias)>
        bias_gelu_backward;

    // target += left^T right, summed in float. target: float.
    std::function<void(const at::Tensor& target, const at::Tensor& left, const at::Tensor& right)>
        add_product;

    // Attention without dropout, of bf16; empty: the device has none.
    std::function<FlashResult(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                              const VariedLengths&)>
        flash_attention;
    std::function<FlashGradients(const at::Tensor& gradient, const at::Tensor& query, const at::Tensor& key,
                                 const at::Tensor& value, const FlashResult& forward, const VariedLengths&)>
        flash_attention_backward;
};

DeviceKernels plain_kernels();

// What of `found` differs from what plain_kernels() gives on small made-up values on this device, beyond rounding: one line
// for each function, which is put back to the plain one (attention: taken out). For devices whose kernels nobody has run yet.
std::vector<std::string> self_check_kernels(DeviceKernels& found, at::Device device);

}  // namespace orchestrate
