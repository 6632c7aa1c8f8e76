// The kernels that go row by row, and the table of one instruction set.
#include "worker/training/kernels/kernels.h"

#include "worker/training/kernels/attention_kernels.h"
#include "worker/training/kernels/kernel_math.h"
#include "worker/training/kernels/kernel_random.h"
#include "worker/training/kernels/normal_kernels.h"
#include "worker/training/kernels/product_kernels.h"

#define ORCHESTRATE_TEXT_OF(name) #name
#define ORCHESTRATE_TEXT(name) ORCHESTRATE_TEXT_OF(name)

namespace orchestrate::ORCHESTRATE_KERNEL_SET {
namespace {

// Calls work.operator()<count>(first row) for kRowsAtOnce rows at a time, then for each of the rest.
template <class Work>
inline void in_groups(RowRange rows, const Work& work) {
    Index row = rows.begin;
    for (; row + kRowsAtOnce <= rows.end; row += kRowsAtOnce) {
        work.template operator()<kRowsAtOnce>(row);
    }
    for (; row < rows.end; ++row) {
        work.template operator()<1>(row);
    }
}

// Consecutive rows of a matrix.
template <class Float>
struct RowsOf {
    Float* first;
    Index stride;

    Float* operator[](Index row) const { return first + row * stride; }
};
using Group = RowsOf<float>;
using ConstGroup = RowsOf<const float>;

// The masks of consecutive rows.
template <Index Rows>
ConstGroup masks_of(Index columns, const Dropout& dropout, const TokenKey* keys, float* random) {
    const Index stride = rounded_up(columns, kRandomChunk);
    for (Index row = 0; row < Rows; ++row) {
        fill_mask(dropout, keys[row].example, keys[row].position, columns, random + row * stride);
    }
    return {random, stride};
}

template <Index Rows>
void normalize_rows(Index columns, const Group& x, const LayerNormParameters& norm, float* rstd,
                    const Group& output) {
    float mean[Rows] = {};
#pragma GCC ivdep
    for (Index i = 0; i < columns; ++i) {
#pragma GCC unroll 4
        for (Index row = 0; row < Rows; ++row) {
            mean[row] += x[row][i];
        }
    }
    for (float& one : mean) {
        one /= static_cast<float>(columns);
    }
    float squares[Rows] = {};
#pragma GCC ivdep
    for (Index i = 0; i < columns; ++i) {
#pragma GCC unroll 4
        for (Index row = 0; row < Rows; ++row) {
            const float centred = x[row][i] - mean[row];
            squares[row] += centred * centred;
        }
    }
    float inverse[Rows];
    for (Index row = 0; row < Rows; ++row) {
        inverse[row] = 1.0F / sqrtf(squares[row] / static_cast<float>(columns) + norm.epsilon);
        rstd[row] = inverse[row];
    }
#pragma GCC ivdep
    for (Index i = 0; i < columns; ++i) {
        const float gain = norm.gain[i];
        const float bias = norm.bias[i];
#pragma GCC unroll 4
        for (Index row = 0; row < Rows; ++row) {
            const float normalized = (x[row][i] - mean[row]) * inverse[row];
            x[row][i] = normalized;
            output[row][i] = normalized * gain + bias;
        }
    }
}

// What the backward pass of a layer norm reads of some rows.
struct NormalizedRows {
    ConstGroup normalized;
    const float* rstd;
    const float* gain;
};

// Gradient of a layer norm's input into `grad_input`.
template <Index Rows>
void normalize_rows_backward(Index columns, const ConstGroup& grad_output, const NormalizedRows& forward,
                             const Group& grad_input, float* grad_gain, float* grad_bias) {
    float mean_gradient[Rows] = {};
    float mean_product[Rows] = {};
#pragma GCC ivdep
    for (Index i = 0; i < columns; ++i) {
        const float gain = forward.gain[i];
#pragma GCC unroll 4
        for (Index row = 0; row < Rows; ++row) {
            const float gradient = grad_output[row][i] * gain;
            mean_gradient[row] += gradient;
            mean_product[row] += gradient * forward.normalized[row][i];
        }
    }
    for (Index row = 0; row < Rows; ++row) {
        mean_gradient[row] /= static_cast<float>(columns);
        mean_product[row] /= static_cast<float>(columns);
    }
#pragma GCC ivdep
    for (Index i = 0; i < columns; ++i) {
        const float gain = forward.gain[i];
        float of_gain = grad_gain[i];
        float of_bias = grad_bias[i];
#pragma GCC unroll 4
        for (Index row = 0; row < Rows; ++row) {
            const float gradient = grad_output[row][i];
            const float normalized = forward.normalized[row][i];
            of_gain += gradient * normalized;
            of_bias += gradient;
            grad_input[row][i] =
                forward.rstd[row] * (gradient * gain - mean_gradient[row] - normalized * mean_product[row]);
        }
        grad_gain[i] = of_gain;
        grad_bias[i] = of_bias;
    }
}

void embed(RowRange rows, Index columns, const Index* token, const Index* position_id, const Index* type_id,
           const float* word, const float* position, const float* type, const LayerNormParameters& norm,
           const Dropout& dropout, const TokenKey* keys, float* normalized, float* rstd, float* output,
           float* random) {
    in_groups(rows, [&]<Index Rows>(Index first) {
        const Group x{normalized + first * columns, columns};
        const Group out{output + first * columns, columns};
        for (Index row = 0; row < Rows; ++row) {
            const float* const w = word + token[first + row] * columns;
            const float* const p = position + position_id[first + row] * columns;
            const float* const t = type + (type_id != nullptr ? type_id[first + row] : 0) * columns;
            float* const sum = x[row];
#pragma GCC ivdep
            for (Index i = 0; i < columns; ++i) {
                sum[i] = (w[i] + t[i]) + p[i];
            }
        }
        normalize_rows<Rows>(columns, x, norm, rstd + first, out);
        if (dropout.enabled()) {
            const ConstGroup mask = masks_of<Rows>(columns, dropout, keys + first, random);
            for (Index row = 0; row < Rows; ++row) {
                float* const values = out[row];
                const float* const kept = mask[row];
#pragma GCC ivdep
                for (Index i = 0; i < columns; ++i) {
                    values[i] *= kept[i];
                }
            }
        }
    });
}

void embed_backward(RowRange rows, Index columns, const float* grad_output, const float* gain,
                    const Dropout& dropout, const TokenKey* keys, const float* normalized, const float* rstd,
                    float* grad_sum, float* grad_gain, float* grad_norm_bias, float* random) {
    in_groups(rows, [&]<Index Rows>(Index first) {
        const NormalizedRows forward{{normalized + first * columns, columns}, rstd + first, gain};
        const Group sum{grad_sum + first * columns, columns};
        ConstGroup gradient{grad_output + first * columns, columns};
        if (dropout.enabled()) {
            const ConstGroup mask = masks_of<Rows>(columns, dropout, keys + first, random);
            for (Index row = 0; row < Rows; ++row) {
                float* const kept = random + row * mask.stride;
                const float* const upstream = gradient[row];
#pragma GCC ivdep
                for (Index i = 0; i < columns; ++i) {
                    kept[i] *= upstream[i];
                }
            }
            gradient = mask;
        }
        normalize_rows_backward<Rows>(columns, gradient, forward, sum, grad_gain, grad_norm_bias);
    });
}

void add_norm(RowRange rows, Index columns, const float* values, const float* bias, const float* residual,
              const LayerNormParameters& norm, const Dropout& dropout, const TokenKey* keys,
              float* normalized, float* rstd, float* output, float* random) {
    in_groups(rows, [&]<Index Rows>(Index first) {
        const Group x{normalized + first * columns, columns};
        const ConstGroup mask = dropout.enabled() ? masks_of<Rows>(columns, dropout, keys + first, random)
                                                  : ConstGroup{nullptr, 0};
        for (Index row = 0; row < Rows; ++row) {
            const float* const v = values + (first + row) * columns;
            const float* const r = residual + (first + row) * columns;
            const float* const kept = mask[row];
            float* const sum = x[row];
            if (dropout.enabled()) {
#pragma GCC ivdep
                for (Index i = 0; i < columns; ++i) {
                    sum[i] = (v[i] + bias[i]) * kept[i] + r[i];
                }
            } else {
#pragma GCC ivdep
                for (Index i = 0; i < columns; ++i) {
                    sum[i] = v[i] + bias[i] + r[i];
                }
            }
        }
        normalize_rows<Rows>(columns, x, norm, rstd + first, {output + first * columns, columns});
    });
}

// values = sum * mask (null: sum); adds the rows up.
template <Index Rows>
void through_dropout(Index columns, const Group& sum, const ConstGroup& mask, const Group& values,
                     float* totals) {
    const bool dropped = mask.first != nullptr;
#pragma GCC ivdep
    for (Index i = 0; i < columns; ++i) {
        float total = totals[i];
#pragma GCC unroll 4
        for (Index row = 0; row < Rows; ++row) {
            const float value = dropped ? sum[row][i] * mask[row][i] : sum[row][i];
            values[row][i] = value;
            total += value;
        }
        totals[i] = total;
    }
}

void add_norm_backward(RowRange rows, Index columns, const float* grad_output, const float* gain,
                       const Dropout& dropout, const TokenKey* keys, const float* normalized,
                       const float* rstd, float* grad_residual, float* grad_values, float* grad_bias,
                       float* grad_gain, float* grad_norm_bias, float* random) {
    in_groups(rows, [&]<Index Rows>(Index first) {
        const NormalizedRows forward{{normalized + first * columns, columns}, rstd + first, gain};
        const Group sum{grad_residual + first * columns, columns};
        normalize_rows_backward<Rows>(columns, {grad_output + first * columns, columns}, forward, sum,
                                      grad_gain, grad_norm_bias);
        const ConstGroup mask = dropout.enabled() ? masks_of<Rows>(columns, dropout, keys + first, random)
                                                  : ConstGroup{nullptr, 0};
        through_dropout<Rows>(columns, sum, mask, {grad_values + first * columns, columns}, grad_bias);
    });
}

void bias_gelu(RowRange rows, Index columns, float* values, const float* bias, float* output) {
    for (Index row = rows.begin; row < rows.end; ++row) {
        float* const v = values + row * columns;
        float* const out = output + row * columns;
#pragma GCC ivdep
        for (Index i = 0; i < columns; ++i) {
            const float x = v[i] + bias[i];
            float density;
            float integral;
            normal_distribution(x, density, integral);
            v[i] = integral + x * density;
            out[i] = x * integral;
        }
    }
}

void bias_gelu_backward(RowRange rows, Index columns, const float* grad_output, const float* derivative,
                        float* grad_values, float* grad_bias) {
    in_groups(rows, [&]<Index Rows>(Index first) {
        const ConstGroup upstream{grad_output + first * columns, columns};
        const ConstGroup slope{derivative + first * columns, columns};
        const Group out{grad_values + first * columns, columns};
#pragma GCC ivdep
        for (Index i = 0; i < columns; ++i) {
            float total = grad_bias[i];
#pragma GCC unroll 4
            for (Index row = 0; row < Rows; ++row) {
                const float gradient = upstream[row][i] * slope[row][i];
                out[row][i] = gradient;
                total += gradient;
            }
            grad_bias[i] = total;
        }
    });
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
