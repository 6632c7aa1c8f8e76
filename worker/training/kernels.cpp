// The kernels that go row by row, and the table of one instruction set.
#include "worker/training/kernels.h"

#include "worker/training/attention_kernels.h"
#include "worker/training/kernel_math.h"
#include "worker/training/normal_kernels.h"
#include "worker/training/product_kernels.h"

#define ORCHESTRATE_TEXT_OF(name) #name
#define ORCHESTRATE_TEXT(name) ORCHESTRATE_TEXT_OF(name)

namespace orchestrate::ORCHESTRATE_KERNEL_SET {
namespace {

void normalize_row(Index columns, float* x, const LayerNormParameters& norm, float* inverse_deviation,
                   float* output) {
    float sum = 0.0F;
    for (Index i = 0; i < columns; ++i) {
        sum += x[i];
    }
    const float mean = sum / static_cast<float>(columns);
    float squares = 0.0F;
    for (Index i = 0; i < columns; ++i) {
        const float centred = x[i] - mean;
        squares += centred * centred;
    }
    const float inverse = 1.0F / sqrtf(squares / static_cast<float>(columns) + norm.epsilon);
    *inverse_deviation = inverse;
    for (Index i = 0; i < columns; ++i) {
        const float normalized = (x[i] - mean) * inverse;
        x[i] = normalized;
        output[i] = normalized * norm.gain[i] + norm.bias[i];
    }
}

// Gradient of a layer norm's input into `grad_input` (may be grad_output's memory).
void normalize_row_backward(Index columns, const float* grad_output, const float* gain,
                            const float* normalized, float inverse_deviation, float* grad_input,
                            float* grad_gain, float* grad_bias) {
    float mean_gradient = 0.0F;
    float mean_product = 0.0F;
    for (Index i = 0; i < columns; ++i) {
        const float gradient = grad_output[i] * gain[i];
        mean_gradient += gradient;
        mean_product += gradient * normalized[i];
    }
    mean_gradient /= static_cast<float>(columns);
    mean_product /= static_cast<float>(columns);
    for (Index i = 0; i < columns; ++i) {
        const float gradient = grad_output[i];
        grad_gain[i] += gradient * normalized[i];
        grad_bias[i] += gradient;
        grad_input[i] =
            inverse_deviation * (gradient * gain[i] - mean_gradient - normalized[i] * mean_product);
    }
}

void embed(RowRange rows, Index columns, const Index* token, const Index* position_id, const Index* type_id,
           const float* word, const float* position, const float* type, const LayerNormParameters& norm,
           const Dropout& dropout, const TokenKey* keys, float* normalized, float* inverse_deviation,
           float* output, float* random) {
    for (Index row = rows.begin; row < rows.end; ++row) {
        const float* const w = word + token[row] * columns;
        const float* const p = position + position_id[row] * columns;
        const float* const t = type + (type_id != nullptr ? type_id[row] : 0) * columns;
        float* const x = normalized + row * columns;
        float* const out = output + row * columns;
        for (Index i = 0; i < columns; ++i) {
            x[i] = (w[i] + t[i]) + p[i];
        }
        normalize_row(columns, x, norm, inverse_deviation + row, out);
        if (dropout.enabled()) {
            fill_mask(dropout, keys[row].example, keys[row].position, columns, random);
            for (Index i = 0; i < columns; ++i) {
                out[i] *= random[i];
            }
        }
    }
}

void embed_backward(RowRange rows, Index columns, const float* grad_output, const float* gain,
                    const Dropout& dropout, const TokenKey* keys, const float* normalized,
                    const float* inverse_deviation, float* grad_sum, float* grad_gain, float* grad_norm_bias,
                    float* random) {
    for (Index row = rows.begin; row < rows.end; ++row) {
        const float* gradient = grad_output + row * columns;
        if (dropout.enabled()) {
            fill_mask(dropout, keys[row].example, keys[row].position, columns, random);
            for (Index i = 0; i < columns; ++i) {
                random[i] *= gradient[i];
            }
            gradient = random;
        }
        normalize_row_backward(columns, gradient, gain, normalized + row * columns, inverse_deviation[row],
                               grad_sum + row * columns, grad_gain, grad_norm_bias);
    }
}

void add_norm(RowRange rows, Index columns, const float* values, const float* bias, const float* residual,
              const LayerNormParameters& norm, const Dropout& dropout, const TokenKey* keys,
              float* normalized, float* inverse_deviation, float* output, float* random) {
    for (Index row = rows.begin; row < rows.end; ++row) {
        const float* const v = values + row * columns;
        const float* const r = residual + row * columns;
        float* const x = normalized + row * columns;
        if (dropout.enabled()) {
            fill_mask(dropout, keys[row].example, keys[row].position, columns, random);
            for (Index i = 0; i < columns; ++i) {
                x[i] = (v[i] + bias[i]) * random[i] + r[i];
            }
        } else {
            for (Index i = 0; i < columns; ++i) {
                x[i] = v[i] + bias[i] + r[i];
            }
        }
        normalize_row(columns, x, norm, inverse_deviation + row, output + row * columns);
    }
}

void add_norm_backward(RowRange rows, Index columns, const float* grad_output, const float* gain,
                       const Dropout& dropout, const TokenKey* keys, const float* normalized,
                       const float* inverse_deviation, float* grad_residual, float* grad_values,
                       float* grad_bias, float* grad_gain, float* grad_norm_bias, float* random) {
    for (Index row = rows.begin; row < rows.end; ++row) {
        float* const sum = grad_residual + row * columns;
        float* const value = grad_values + row * columns;
        normalize_row_backward(columns, grad_output + row * columns, gain, normalized + row * columns,
                               inverse_deviation[row], sum, grad_gain, grad_norm_bias);
        if (dropout.enabled()) {
            fill_mask(dropout, keys[row].example, keys[row].position, columns, random);
            for (Index i = 0; i < columns; ++i) {
                const float gradient = sum[i] * random[i];
                value[i] = gradient;
                grad_bias[i] += gradient;
            }
        } else {
            for (Index i = 0; i < columns; ++i) {
                value[i] = sum[i];
                grad_bias[i] += sum[i];
            }
        }
    }
}

void bias_gelu(RowRange rows, Index columns, float* values, const float* bias, float* output) {
    for (Index row = rows.begin; row < rows.end; ++row) {
        float* const v = values + row * columns;
        float* const out = output + row * columns;
        for (Index i = 0; i < columns; ++i) {
            const float x = v[i] + bias[i];
            float density;
            float integral;
            normal_distribution(x, density, integral);
            v[i] = x;
            out[i] = x * integral;
        }
    }
}

void bias_gelu_backward(RowRange rows, Index columns, const float* grad_output, const float* biased,
                        float* grad_values, float* grad_bias) {
    for (Index row = rows.begin; row < rows.end; ++row) {
        const float* const g = grad_output + row * columns;
        const float* const v = biased + row * columns;
        float* const out = grad_values + row * columns;
        for (Index i = 0; i < columns; ++i) {
            float density;
            float integral;
            normal_distribution(v[i], density, integral);
            const float gradient = g[i] * (integral + v[i] * density);
            out[i] = gradient;
            grad_bias[i] += gradient;
        }
    }
}

void dropout_mask(RowRange rows, Index columns, const Dropout& dropout, const TokenKey* keys, float* mask,
                  float* random) {
    for (Index row = rows.begin; row < rows.end; ++row) {
        fill_mask(dropout, keys[row].example, keys[row].position, columns, random);
        memcpy(mask + row * columns, random, static_cast<std::size_t>(columns) * sizeof(float));
    }
}

#if defined(__AVX512F__)
constexpr bool kFastProducts = true;
#else
constexpr bool kFastProducts = false;
#endif

constexpr Kernels kKernels = {
    .instruction_set = ORCHESTRATE_TEXT(ORCHESTRATE_KERNEL_SET),
    .fast_products = kFastProducts,
    .pack_right = pack_right,
    .multiply = multiply,
    .embed = embed,
    .embed_backward = embed_backward,
    .add_norm = add_norm,
    .add_norm_backward = add_norm_backward,
    .bias_gelu = bias_gelu,
    .bias_gelu_backward = bias_gelu_backward,
    .attention = attention,
    .attention_backward = attention_backward,
    .dropout_mask = dropout_mask,
    .normal = normal,
};

}  // namespace

const Kernels& kernels() {
    return kKernels;
}

}  // namespace orchestrate::ORCHESTRATE_KERNEL_SET
