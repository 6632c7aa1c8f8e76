// The arithmetic between the matrix products of a Transformer encoder, on CPUs: embeddings, attention over
// packed texts, bias + GELU, dropout + residual + layer norm, forward and backward, each in one pass over
// memory. Free of torch. The same source is compiled once per instruction set; best_kernels() picks what this
// machine can run.
//
// Matrices are row-major fp32. A row is one token of a packed batch. All kernels work on a range of rows or
// texts, hold no state, and may run at the same time on disjoint ranges. "accumulates" means: adds to what is
// there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "worker/training/kernels/keyed_random.h"

namespace orchestrate {

// Rows [begin, end).
struct RowRange {
    std::int64_t begin = 0;
    std::int64_t end = 0;
};

// Texts [begin, end) of a packed batch and the shape of their attention.
struct AttentionShape {
    std::int64_t heads = 0;
    std::int64_t head_size = 0;
    const std::int64_t* offsets = nullptr;  // text i has the rows [offsets[i], offsets[i + 1])
    const std::int64_t* weight_offsets =
        nullptr;                             // text i has its attention weights from weight_offsets[i] on
    const std::uint32_t* example = nullptr;  // of text i: its index in the global batch
    bool first_query_only =
        false;  // only the first token of each text asks: queries and output have a row per text
    std::int64_t longest = 0;  // rows of the longest text
};

// Floats that the attention of one text with this many rows stores for the backward pass.
std::int64_t attention_weight_floats(std::int64_t rows, std::int64_t heads, bool first_query_only);

// The kernels that go row by row take so many together: they wait less for sums, and read vectors once.
inline constexpr std::int64_t kRowsAtOnce = 4;

// Floats of scratch memory that such a kernel needs for its masks.
std::int64_t random_scratch_floats(std::int64_t columns);

// Floats of scratch memory that one call of an attention kernel needs.
std::int64_t attention_scratch_floats(const AttentionShape& shape);

// A matrix inside a wider one.
struct ColumnsOf {
    const float* values = nullptr;
    std::int64_t stride = 0;  // floats from one row to the next
};

// Where the gradient of ColumnsOf goes: `values` is written; the sums over its rows accumulate in `sums`.
struct GradientOfColumns {
    float* values = nullptr;
    std::int64_t stride = 0;
    float* sums = nullptr;
};

// y = LayerNorm(x) * gain + bias; `normalized` (without gain and bias) and `rstd` are what its
// backward pass needs.
struct LayerNormParameters {
    const float* gain = nullptr;
    const float* bias = nullptr;
    float epsilon = 1e-5F;
};

// result = left right + bias (of the columns; null: none), or result += left right, with [rows x depth] and
// [depth x columns]. A transposed side lies in memory the other way round: left as [depth x rows], right as
// [columns x depth]. Strides in floats.
struct MatrixProduct {
    std::int64_t rows = 0;
    std::int64_t columns = 0;
    std::int64_t depth = 0;
    const float* left = nullptr;
    std::int64_t left_stride = 0;
    bool left_transposed = false;
    const float* right = nullptr;
    std::int64_t right_stride = 0;
    bool right_transposed = false;
    float* result = nullptr;
    std::int64_t result_stride = 0;
    bool accumulate = false;
    const float* bias = nullptr;
};

// How matrix products are cut into blocks.
inline constexpr std::int64_t kProductRows = 480;
inline constexpr std::int64_t kProductColumns = 32;
inline constexpr std::int64_t kProductDepth = 256;

// Floats of a packed right side, and of the scratch memory of one call of `multiply`.
std::int64_t packed_right_floats(const MatrixProduct& product);
std::int64_t product_scratch_floats(const MatrixProduct& product);

struct Kernels {
    const char* instruction_set = "";

    // Whether `multiply` is at least as quick here as a library's products.
    bool fast_products = false;

    // Copies columns of the right side in the order in which `multiply` reads them. The range begins at a multiple of
    // kProductColumns and ends at one or at the last column.
    void (*pack_right)(RowRange columns, const MatrixProduct& product, float* packed);

    // Rows of the result. Each element is summed in the same order whatever the range is.
    void (*multiply)(RowRange rows, const MatrixProduct& product, const float* packed, float* scratch);

    // normalized, rstd, output = dropout(LayerNorm(word[token] + position[...] + type[...])).
    // `type_id` null: type 0 everywhere. `random` is scratch of random_scratch_floats(columns); so in the kernels below.
    void (*embed)(RowRange rows, std::int64_t columns, const std::int64_t* token,
                  const std::int64_t* position_id, const std::int64_t* type_id, const float* word,
                  const float* position, const float* type, const LayerNormParameters& norm,
                  const Dropout& dropout, const TokenKey* keys, float* normalized, float* rstd, float* output,
                  float* random);

    // Gradient of the sum of the three embeddings into `grad_sum`; accumulates those of gain and bias.
    void (*embed_backward)(RowRange rows, std::int64_t columns, const float* grad_output, const float* gain,
                           const Dropout& dropout, const TokenKey* keys, const float* normalized,
                           const float* rstd, float* grad_sum, float* grad_gain, float* grad_norm_bias,
                           float* random);

    // output = LayerNorm(residual + dropout(values + bias)).
    void (*add_norm)(RowRange rows, std::int64_t columns, const float* values, const float* bias,
                     const float* residual, const LayerNormParameters& norm, const Dropout& dropout,
                     const TokenKey* keys, float* normalized, float* rstd, float* output, float* random);

    // Gradients of residual and values are written; those of bias, gain and norm bias accumulate.
    void (*add_norm_backward)(RowRange rows, std::int64_t columns, const float* grad_output,
                              const float* gain, const Dropout& dropout, const TokenKey* keys,
                              const float* normalized, const float* rstd, float* grad_residual,
                              float* grad_values, float* grad_bias, float* grad_gain, float* grad_norm_bias,
                              float* random);

    // output = gelu(values + bias) (by the error function); `values` becomes its derivative.
    void (*bias_gelu)(RowRange rows, std::int64_t columns, float* values, const float* bias, float* output);

    // `derivative` is what bias_gelu left in its values. grad_bias accumulates.
    void (*bias_gelu_backward)(RowRange rows, std::int64_t columns, const float* grad_output,
                               const float* derivative, float* grad_values, float* grad_bias);

    // Of the texts of `texts`: output = dropout(softmax(q k^T / sqrt(head_size))) v, heads side by side in
    // the columns. `weights` receives the softmax.
    void (*attention)(RowRange texts, const AttentionShape& shape, const Dropout& dropout,
                      const ColumnsOf& query, const ColumnsOf& key, const ColumnsOf& value, float* weights,
                      float* output, std::int64_t output_stride, float* scratch);

    void (*attention_backward)(RowRange texts, const AttentionShape& shape, const Dropout& dropout,
                               const ColumnsOf& query, const ColumnsOf& key, const ColumnsOf& value,
                               const float* weights, const float* grad_output,
                               std::int64_t grad_output_stride, const GradientOfColumns& grad_query,
                               const GradientOfColumns& grad_key, const GradientOfColumns& grad_value,
                               float* scratch);

    // mask[i * columns + j] = 0 or dropout.scale, for rows of the given keys.
    void (*dropout_mask)(RowRange rows, std::int64_t columns, const Dropout& dropout, const TokenKey* keys,
                         float* mask, float* random);

    // The elements [first, first + count) of an endless row of normal deviates that `key` stands for.
    void (*normal)(std::uint64_t key, std::int64_t first, std::int64_t count, double deviation, float* out);
};

// Those that this machine runs, the widest first.
std::span<const Kernels* const> runnable_kernels();
// The first of them, or those that ORCHESTRATE_INSTRUCTION_SET names, for tests and to look for what differs between
// machines. UserError if this machine does not run them.
const Kernels& best_kernels();

namespace generic {
const Kernels& kernels();
}
namespace avx2 {
const Kernels& kernels();
}
namespace avx512 {
const Kernels& kernels();
}

}  // namespace orchestrate
