// Compiled once per instruction set with ORCHESTRATE_KERNEL_SET naming it. No inline function of the standard
// library is used here: the linker might keep this copy, compiled for the widest set, for code that runs
// everywhere.
#include "worker/training/kernels.h"

#include <math.h>
#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#ifndef ORCHESTRATE_KERNEL_SET
#error "compile with -DORCHESTRATE_KERNEL_SET=generic, avx2 or avx512"
#endif
#define ORCHESTRATE_TEXT_OF(name) #name
#define ORCHESTRATE_TEXT(name) ORCHESTRATE_TEXT_OF(name)

namespace orchestrate::ORCHESTRATE_KERNEL_SET {
namespace {

using Index = std::int64_t;
constexpr Index kTileColumns = 16;
constexpr Index kRandomChunk = 64;

constexpr Index rounded_up(Index value, Index multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

// Eight lanes of Philox, sixty-four 16-bit numbers: the layout of dropout_random().
struct Words {
    std::uint32_t lane[8];
};

#if defined(__AVX2__)
using LaneWords = __m256i;
inline LaneWords broadcast(std::uint32_t value) {
    return _mm256_set1_epi32(static_cast<int>(value));
}
inline LaneWords lane_counter(std::uint32_t first) {
    return _mm256_add_epi32(broadcast(first), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
inline void multiply_wide(LaneWords a, std::uint32_t multiplier, LaneWords& high, LaneWords& low) {
    const __m256i factor = broadcast(multiplier);
    const __m256i even = _mm256_mul_epu32(a, factor);
    const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), factor);
    high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
    low = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
}
inline LaneWords exclusive_or(LaneWords a, LaneWords b) {
    return _mm256_xor_si256(a, b);
}
inline void store(const LaneWords& words, std::uint16_t* out) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), words);
}
#else
using LaneWords = Words;
inline LaneWords broadcast(std::uint32_t value) {
    LaneWords words;
    for (auto& lane : words.lane) {
        lane = value;
    }
    return words;
}
inline LaneWords lane_counter(std::uint32_t first) {
    LaneWords words;
    for (std::uint32_t i = 0; i < 8; ++i) {
        words.lane[i] = first + i;
    }
    return words;
}
inline void multiply_wide(const LaneWords& a, std::uint32_t multiplier, LaneWords& high, LaneWords& low) {
    for (int i = 0; i < 8; ++i) {
        const std::uint64_t product = std::uint64_t{multiplier} * a.lane[i];
        high.lane[i] = static_cast<std::uint32_t>(product >> 32);
        low.lane[i] = static_cast<std::uint32_t>(product);
    }
}
inline LaneWords exclusive_or(const LaneWords& a, const LaneWords& b) {
    LaneWords words;
    for (int i = 0; i < 8; ++i) {
        words.lane[i] = a.lane[i] ^ b.lane[i];
    }
    return words;
}
inline void store(const LaneWords& words, std::uint16_t* out) {
    memcpy(out, words.lane, sizeof words.lane);
}
#endif

// Elements [first, first + count) of a row; `first` is a multiple of 64, `out` has room for `count` rounded
// up to 64.
void fill_random(const Dropout& dropout, std::uint32_t example, std::uint32_t row, Index first, Index count,
                 std::uint16_t* out) {
    for (Index chunk = 0; chunk * kRandomChunk < count; ++chunk) {
        LaneWords c0 = lane_counter(static_cast<std::uint32_t>(first / kRandomChunk + chunk) * 8);
        LaneWords c1 = broadcast(row);
        LaneWords c2 = broadcast(example);
        LaneWords c3 = broadcast(dropout.site);
        std::uint32_t key0 = dropout.key[0];
        std::uint32_t key1 = dropout.key[1];
        for (int round = 0; round < kPhiloxRounds; ++round) {
            LaneWords high0;
            LaneWords low0;
            LaneWords high1;
            LaneWords low1;
            multiply_wide(c0, kPhiloxMultiplier0, high0, low0);
            multiply_wide(c2, kPhiloxMultiplier1, high1, low1);
            c0 = exclusive_or(exclusive_or(high1, c1), broadcast(key0));
            c1 = low1;
            c2 = exclusive_or(exclusive_or(high0, c3), broadcast(key1));
            c3 = low0;
            key0 += kPhiloxWeyl0;
            key1 += kPhiloxWeyl1;
        }
        std::uint16_t* const at = out + chunk * kRandomChunk;
        store(c0, at);
        store(c1, at + 16);
        store(c2, at + 32);
        store(c3, at + 48);
    }
}

// mask[0, count) of one row; `mask` has room for `count` rounded up to 64.
void fill_mask(const Dropout& dropout, std::uint32_t example, std::uint32_t row, Index count, float* mask) {
    constexpr Index kPiece = kRandomChunk * 16;
    std::uint16_t random[kPiece];
    for (Index from = 0; from < count; from += kPiece) {
        const Index here = count - from < kPiece ? count - from : kPiece;
        fill_random(dropout, example, row, from, here, random);
        const auto threshold = static_cast<int>(dropout.threshold);
        const float scale = dropout.scale;
        float* const at = mask + from;
        for (Index i = 0; i < here; ++i) {
            at[i] = static_cast<int>(random[i]) < threshold ? 0.0F : scale;
        }
    }
}

// exp(x) to 2 units in the last place for x <= 88; 0 below -87.
inline float exponential(float x) {
    constexpr float kLog2E = 1.44269504088896341F;
    constexpr float kLn2High = 0.693359375F;
    constexpr float kLn2Low = -2.12194440e-4F;
    constexpr float kRoundToInteger = 12582912.0F;  // 1.5 * 2^23
    const float clamped = x < -87.0F ? -87.0F : (x > 88.0F ? 88.0F : x);
    const float shifted = clamped * kLog2E + kRoundToInteger;
    std::int32_t exponent_bits;
    memcpy(&exponent_bits, &shifted, sizeof exponent_bits);
    const auto exponent = static_cast<float>(exponent_bits - 0x4B400000);
    const float r = (clamped - exponent * kLn2High) - exponent * kLn2Low;
    // Taylor series on |r| <= ln(2) / 2.
    float p = 1.0F / 5040.0F;
    p = p * r + 1.0F / 720.0F;
    p = p * r + 1.0F / 120.0F;
    p = p * r + 1.0F / 24.0F;
    p = p * r + 1.0F / 6.0F;
    p = p * r + 0.5F;
    p = p * r + 1.0F;
    p = p * r + 1.0F;
    const std::int32_t scale_bits = (exponent_bits - 0x4B400000 + 127) << 23;
    float scale;
    memcpy(&scale, &scale_bits, sizeof scale);
    const float result = p * scale;
    return x < -87.0F ? 0.0F : result;
}

// Standard normal distribution: its density and its integral up to x, by Abramowitz and Stegun 7.1.26
// (absolute error below 1e-7).
inline void normal_distribution(float x, float& density, float& integral) {
    const float magnitude = (x < 0.0F ? -x : x) * 0.70710678118654752F;
    const float bell = exponential(-magnitude * magnitude);
    const float t = 1.0F / (1.0F + 0.3275911F * magnitude);
    float p = 1.061405429F;
    p = p * t - 1.453152027F;
    p = p * t + 1.421413741F;
    p = p * t - 0.284496736F;
    p = p * t + 0.254829592F;
    const float tail = 0.5F * p * t * bell;
    integral = x < 0.0F ? tail : 1.0F - tail;
    density = 0.39894228040143268F * bell;
}

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

void embed(RowRange rows, Index columns, const Index* token, const Index* position_id, const float* word,
           const float* position, const float* type, const LayerNormParameters& norm, const Dropout& dropout,
           const TokenKey* keys, float* normalized, float* inverse_deviation, float* output, float* random) {
    for (Index row = rows.begin; row < rows.end; ++row) {
        const float* const w = word + token[row] * columns;
        const float* const p = position + position_id[row] * columns;
        float* const x = normalized + row * columns;
        float* const out = output + row * columns;
        for (Index i = 0; i < columns; ++i) {
            x[i] = (w[i] + type[i]) + p[i];
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

// --- attention: small matrix products over zero-padded copies of one head of one text ---

using Vector = float __attribute__((vector_size(32), aligned(4), may_alias));

// c[Rows x 16] = a b, where a is [Rows x depth] (or its transpose in memory) and b [depth x 16], row-major.
template <int Rows, bool TransposedA>
inline void multiply_tile(Index depth, const float* a, Index a_stride, const float* b, Index b_stride,
                          float* c, Index c_stride) {
    Vector left[Rows];
    Vector right[Rows];
#pragma GCC unroll 8
    for (int row = 0; row < Rows; ++row) {
        left[row] = Vector{};
        right[row] = Vector{};
    }
    for (Index k = 0; k < depth; ++k) {
        const Vector b_left = *reinterpret_cast<const Vector*>(b + k * b_stride);
        const Vector b_right = *reinterpret_cast<const Vector*>(b + k * b_stride + 8);
#pragma GCC unroll 8
        for (int row = 0; row < Rows; ++row) {
            const float factor = TransposedA ? a[k * a_stride + row] : a[row * a_stride + k];
            left[row] += factor * b_left;
            right[row] += factor * b_right;
        }
    }
#pragma GCC unroll 8
    for (int row = 0; row < Rows; ++row) {
        *reinterpret_cast<Vector*>(c + row * c_stride) = left[row];
        *reinterpret_cast<Vector*>(c + row * c_stride + 8) = right[row];
    }
}

// c = a b, or a^T b; `columns` is a multiple of 16.
template <bool TransposedA>
void multiply(Index rows, Index columns, Index depth, const float* a, Index a_stride, const float* b,
              Index b_stride, float* c, Index c_stride) {
    for (Index column = 0; column < columns; column += kTileColumns) {
        Index row = 0;
        for (; row + 6 <= rows; row += 6) {
            multiply_tile<6, TransposedA>(depth, a + (TransposedA ? row : row * a_stride), a_stride,
                                          b + column, b_stride, c + row * c_stride + column, c_stride);
        }
        for (; row + 2 <= rows; row += 2) {
            multiply_tile<2, TransposedA>(depth, a + (TransposedA ? row : row * a_stride), a_stride,
                                          b + column, b_stride, c + row * c_stride + column, c_stride);
        }
        for (; row < rows; ++row) {
            multiply_tile<1, TransposedA>(depth, a + (TransposedA ? row : row * a_stride), a_stride,
                                          b + column, b_stride, c + row * c_stride + column, c_stride);
        }
    }
}

// One head of one text in scratch memory; `wide` is its rows and `deep` its head size, rounded up to 16.
struct HeadScratch {
    float* query;     // [queries x deep], times 1 / sqrt(head_size)
    float* key;       // [rows x deep]
    float* key_t;     // [deep x wide]
    float* value;     // [rows x deep]
    float* value_t;   // [deep x wide]
    float* scores;    // [queries x wide]
    float* grad_out;  // [queries x deep]
    float* result;    // [rows x deep]
    float* mask;      // [wide rounded up to 64]
};

HeadScratch divide_scratch(const AttentionShape& shape, float* scratch) {
    const Index wide = rounded_up(shape.longest, kTileColumns);
    const Index deep = rounded_up(shape.head_size, kTileColumns);
    const Index matrix = wide * deep;
    HeadScratch parts;
    parts.query = scratch;
    parts.key = parts.query + matrix;
    parts.key_t = parts.key + matrix;
    parts.value = parts.key_t + matrix;
    parts.value_t = parts.value + matrix;
    parts.grad_out = parts.value_t + matrix;
    parts.result = parts.grad_out + matrix;
    parts.scores = parts.result + matrix;
    parts.mask = parts.scores + wide * wide;
    return parts;
}

void copy_head(Index rows, Index size, Index deep, const BiasedColumns& from, Index first_row,
               Index first_column, float factor, float* to) {
    for (Index row = 0; row < rows; ++row) {
        const float* const source = from.values + (first_row + row) * from.stride + first_column;
        float* const target = to + row * deep;
        if (from.bias != nullptr) {
            const float* const bias = from.bias + first_column;
            for (Index i = 0; i < size; ++i) {
                target[i] = (source[i] + bias[i]) * factor;
            }
        } else {
            for (Index i = 0; i < size; ++i) {
                target[i] = source[i] * factor;
            }
        }
        for (Index i = size; i < deep; ++i) {
            target[i] = 0.0F;
        }
    }
}

void transpose(Index rows, Index wide, Index deep, const float* from, float* to) {
    for (Index column = 0; column < deep; ++column) {
        float* const target = to + column * wide;
        for (Index row = 0; row < rows; ++row) {
            target[row] = from[row * deep + column];
        }
        for (Index row = rows; row < wide; ++row) {
            target[row] = 0.0F;
        }
    }
}

void softmax_row(Index count, Index wide, float* row) {
    float largest = row[0];
    for (Index i = 1; i < count; ++i) {
        largest = row[i] > largest ? row[i] : largest;
    }
    float sum = 0.0F;
    for (Index i = 0; i < count; ++i) {
        const float weight = exponential(row[i] - largest);
        row[i] = weight;
        sum += weight;
    }
    const float inverse = 1.0F / sum;
    for (Index i = 0; i < count; ++i) {
        row[i] *= inverse;
    }
    for (Index i = count; i < wide; ++i) {
        row[i] = 0.0F;
    }
}

void attention(RowRange texts, const AttentionShape& shape, const Dropout& dropout,
               const BiasedColumns& query, const BiasedColumns& key, const BiasedColumns& value,
               float* weights, float* output, Index output_stride, float* scratch) {
    const HeadScratch part = divide_scratch(shape, scratch);
    const Index size = shape.head_size;
    const Index deep = rounded_up(size, kTileColumns);
    const float factor = 1.0F / sqrtf(static_cast<float>(size));
    for (Index text = texts.begin; text < texts.end; ++text) {
        const Index first_row = shape.offsets[text];
        const Index rows = shape.offsets[text + 1] - first_row;
        const Index wide = rounded_up(rows, kTileColumns);
        const Index queries = shape.first_query_only ? 1 : rows;
        const Index first_query = shape.first_query_only ? text : first_row;
        for (Index head = 0; head < shape.heads; ++head) {
            const Index column = head * size;
            copy_head(queries, size, deep, query, first_query, column, factor, part.query);
            copy_head(rows, size, deep, key, first_row, column, 1.0F, part.key);
            copy_head(rows, size, deep, value, first_row, column, 1.0F, part.value);
            transpose(rows, wide, deep, part.key, part.key_t);
            float* const softmax = weights + shape.weight_offsets[text] + head * queries * wide;
            multiply<false>(queries, wide, deep, part.query, deep, part.key_t, wide, softmax, wide);
            const float* applied = softmax;
            for (Index i = 0; i < queries; ++i) {
                softmax_row(rows, wide, softmax + i * wide);
                if (dropout.enabled()) {
                    fill_mask(dropout, shape.example[text],
                              attention_row(static_cast<std::uint32_t>(head), static_cast<std::uint32_t>(i)),
                              rows, part.mask);
                    float* const dropped = part.scores + i * wide;
                    for (Index j = 0; j < rows; ++j) {
                        dropped[j] = softmax[i * wide + j] * part.mask[j];
                    }
                    applied = part.scores;
                }
            }
            multiply<false>(queries, deep, rows, applied, wide, part.value, deep, part.result, deep);
            for (Index i = 0; i < queries; ++i) {
                memcpy(output + (first_query + i) * output_stride + column, part.result + i * deep,
                       static_cast<std::size_t>(size) * sizeof(float));
            }
        }
    }
}

void store_head_gradient(Index rows, Index size, Index deep, const float* from, Index first_row,
                         Index first_column, float factor, const BiasedColumnsGradient& to) {
    for (Index row = 0; row < rows; ++row) {
        const float* const source = from + row * deep;
        float* const target = to.values + (first_row + row) * to.stride + first_column;
        for (Index i = 0; i < size; ++i) {
            target[i] = source[i] * factor;
        }
        if (to.bias != nullptr) {
            float* const bias = to.bias + first_column;
            for (Index i = 0; i < size; ++i) {
                bias[i] += source[i] * factor;
            }
        }
    }
}

void attention_backward(RowRange texts, const AttentionShape& shape, const Dropout& dropout,
                        const BiasedColumns& query, const BiasedColumns& key, const BiasedColumns& value,
                        const float* weights, const float* grad_output, Index grad_output_stride,
                        const BiasedColumnsGradient& grad_query, const BiasedColumnsGradient& grad_key,
                        const BiasedColumnsGradient& grad_value, float* scratch) {
    const HeadScratch part = divide_scratch(shape, scratch);
    const Index size = shape.head_size;
    const Index deep = rounded_up(size, kTileColumns);
    const float factor = 1.0F / sqrtf(static_cast<float>(size));
    float* const dropped = part.mask + rounded_up(shape.longest, kRandomChunk);
    for (Index text = texts.begin; text < texts.end; ++text) {
        const Index first_row = shape.offsets[text];
        const Index rows = shape.offsets[text + 1] - first_row;
        const Index wide = rounded_up(rows, kTileColumns);
        const Index queries = shape.first_query_only ? 1 : rows;
        const Index first_query = shape.first_query_only ? text : first_row;
        for (Index head = 0; head < shape.heads; ++head) {
            const Index column = head * size;
            copy_head(queries, size, deep, query, first_query, column, factor, part.query);
            copy_head(rows, size, deep, key, first_row, column, 1.0F, part.key);
            copy_head(rows, size, deep, value, first_row, column, 1.0F, part.value);
            transpose(rows, wide, deep, part.value, part.value_t);
            const BiasedColumns upstream{grad_output, grad_output_stride, nullptr};
            copy_head(queries, size, deep, upstream, first_query, column, 1.0F, part.grad_out);
            const float* const softmax = weights + shape.weight_offsets[text] + head * queries * wide;

            // Gradient of the weights after dropout, then through dropout and softmax, row by row.
            multiply<false>(queries, wide, deep, part.grad_out, deep, part.value_t, wide, part.scores, wide);
            const float* applied = softmax;
            for (Index i = 0; i < queries; ++i) {
                const float* const weight = softmax + i * wide;
                float* const gradient = part.scores + i * wide;
                if (dropout.enabled()) {
                    fill_mask(dropout, shape.example[text],
                              attention_row(static_cast<std::uint32_t>(head), static_cast<std::uint32_t>(i)),
                              rows, part.mask);
                    float* const kept = dropped + i * wide;
                    for (Index j = 0; j < rows; ++j) {
                        kept[j] = weight[j] * part.mask[j];
                        gradient[j] *= part.mask[j];
                    }
                    applied = dropped;
                }
                float inner = 0.0F;
                for (Index j = 0; j < rows; ++j) {
                    inner += gradient[j] * weight[j];
                }
                for (Index j = 0; j < rows; ++j) {
                    gradient[j] = weight[j] * (gradient[j] - inner);
                }
            }
            multiply<true>(rows, deep, queries, applied, wide, part.grad_out, deep, part.result, deep);
            store_head_gradient(rows, size, deep, part.result, first_row, column, 1.0F, grad_value);
            multiply<false>(queries, deep, rows, part.scores, wide, part.key, deep, part.result, deep);
            store_head_gradient(queries, size, deep, part.result, first_query, column, factor, grad_query);
            multiply<true>(rows, deep, queries, part.scores, wide, part.query, deep, part.result, deep);
            store_head_gradient(rows, size, deep, part.result, first_row, column, 1.0F, grad_key);
        }
    }
}

constexpr Kernels kKernels = {
    .instruction_set = ORCHESTRATE_TEXT(ORCHESTRATE_KERNEL_SET),
    .embed = embed,
    .embed_backward = embed_backward,
    .add_norm = add_norm,
    .add_norm_backward = add_norm_backward,
    .bias_gelu = bias_gelu,
    .bias_gelu_backward = bias_gelu_backward,
    .attention = attention,
    .attention_backward = attention_backward,
    .dropout_mask = dropout_mask,
};

}  // namespace

const Kernels& kernels() {
    return kKernels;
}

}  // namespace orchestrate::ORCHESTRATE_KERNEL_SET
