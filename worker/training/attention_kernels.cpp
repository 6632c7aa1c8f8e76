// Attention of one text and head at a time: small matrix products over zero-padded copies of its rows.
#include "worker/training/attention_kernels.h"

#include "worker/training/product_tile.h"

namespace orchestrate::ORCHESTRATE_KERNEL_SET {
namespace {

constexpr Index kTileColumns = 16;

// c = a b, or a^T b; `columns` is a multiple of 16.
template <Left left>
void multiply(Index rows, Index columns, Index depth, const float* a, Index a_stride, const float* b,
              Index b_stride, float* c, Index c_stride) {
    constexpr int kNarrow = static_cast<int>(kTileColumns / kVectorFloats);
    const Index a_row = left == Left::by_row ? a_stride : 1;
    Index column = 0;
    if constexpr (kNarrow == 1) {
        for (; column + 2 * kTileColumns <= columns; column += 2 * kTileColumns) {
            for (Index row = 0; row < rows; row += kTileRows) {
                multiply_tile_of<2, left>(rows - row < kTileRows ? rows - row : kTileRows, depth,
                                          a + row * a_row, a_stride, b + column, b_stride,
                                          c + row * c_stride + column, c_stride, false);
            }
        }
    }
    for (; column < columns; column += kTileColumns) {
        for (Index row = 0; row < rows; row += kTileRows) {
            multiply_tile_of<kNarrow, left>(rows - row < kTileRows ? rows - row : kTileRows, depth,
                                            a + row * a_row, a_stride, b + column, b_stride,
                                            c + row * c_stride + column, c_stride, false);
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

}  // namespace

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
            multiply<Left::by_row>(queries, wide, deep, part.query, deep, part.key_t, wide, softmax, wide);
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
            multiply<Left::by_row>(queries, deep, rows, applied, wide, part.value, deep, part.result, deep);
            for (Index i = 0; i < queries; ++i) {
                memcpy(output + (first_query + i) * output_stride + column, part.result + i * deep,
                       static_cast<std::size_t>(size) * sizeof(float));
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
            multiply<Left::by_row>(queries, wide, deep, part.grad_out, deep, part.value_t, wide, part.scores,
                                   wide);
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
            multiply<Left::by_depth>(rows, deep, queries, applied, wide, part.grad_out, deep, part.result,
                                     deep);
            store_head_gradient(rows, size, deep, part.result, first_row, column, 1.0F, grad_value);
            multiply<Left::by_row>(queries, deep, rows, part.scores, wide, part.key, deep, part.result, deep);
            store_head_gradient(queries, size, deep, part.result, first_query, column, factor, grad_query);
            multiply<Left::by_depth>(rows, deep, queries, part.scores, wide, part.query, deep, part.result,
                                     deep);
            store_head_gradient(rows, size, deep, part.result, first_row, column, 1.0F, grad_key);
        }
    }
}

}  // namespace orchestrate::ORCHESTRATE_KERNEL_SET
