// Attention of one text and head at a time: small matrix products over its columns, in place where they fit the tiles.
#include "worker/training/kernels/attention_kernels.h"

#include "worker/training/kernels/kernel_random.h"
#include "worker/training/kernels/kernel_transpose.h"
#include "worker/training/kernels/product_tile.h"

namespace orchestrate::ORCHESTRATE_KERNEL_SET {
namespace {

constexpr Index kTileColumns = 16;

// Rows of one head that are written.
struct HeadTarget {
    float* values;
    Index stride;
};

// c = a b, or a^T b; `columns` is a multiple of 16.
template <Left left>
void multiply(Index rows, Index columns, Index depth, const ColumnsOf& a, const ColumnsOf& b,
              const HeadTarget& c) {
    const Index a_row = left == Left::by_row ? a.stride : 1;
    Index column = 0;
    const auto multiply_columns = [&]<int Vectors>() {
        for (Index row = 0; row < rows; row += kTileRows) {
            multiply_tile_of<Vectors, left>(rows - row < kTileRows ? rows - row : kTileRows, depth,
                                            a.values + row * a_row, a.stride, b.values + column, b.stride,
                                            c.values + row * c.stride + column, c.stride, Addend{});
        }
        column += Vectors * kVectorFloats;
    };
    constexpr int kNarrow = static_cast<int>(kTileColumns / kVectorFloats);
    if constexpr (kNarrow == 1) {
        while (column + 2 * kTileColumns <= columns) {
            multiply_columns.template operator()<2>();
        }
    }
    while (column < columns) {
        multiply_columns.template operator()<kNarrow>();
    }
}

// Whether the tiles can read and write a head's columns where they are.
bool works_in_place(Index head_size) {
    return head_size % kTileColumns == 0;
}

// Of one text; `wide` is its rows and `deep` its head size, rounded up to 16. The copies are used if a head's columns
// cannot be worked on in place.
struct HeadScratch {
    float* transposed;  // [deep x wide]
    float* scores;      // [queries x wide]
    float* dropped;     // [queries x wide]
    float* mask;        // [wide rounded up to 64]
    float* query;       // [queries x deep]
    float* key;         // [rows x deep]
    float* value;       // [rows x deep]
    float* grad_out;    // [queries x deep]
    float* result;      // [rows x deep]
};

HeadScratch divide_scratch(const AttentionShape& shape, float* scratch) {
    const Index wide = rounded_up(shape.longest, kTileColumns);
    const Index deep = rounded_up(shape.head_size, kTileColumns);
    const Index matrix = wide * deep;
    HeadScratch parts;
    parts.transposed = scratch;
    parts.query = parts.transposed + matrix;
    parts.key = parts.query + matrix;
    parts.value = parts.key + matrix;
    parts.grad_out = parts.value + matrix;
    parts.result = parts.grad_out + matrix;
    parts.scores = parts.result + matrix;
    parts.dropped = parts.scores + wide * wide;
    parts.mask = parts.dropped + wide * wide;
    return parts;
}

// [rows x size rounded up to 16], in place or copied.
ColumnsOf rows_of_head(Index rows, Index size, const ColumnsOf& from, Index first_row, Index first_column,
                       float* copy) {
    const float* const source = from.values + first_row * from.stride + first_column;
    if (works_in_place(size)) {
        return {source, from.stride};
    }
    const Index deep = rounded_up(size, kTileColumns);
    for (Index row = 0; row < rows; ++row) {
        for (Index i = 0; i < deep; ++i) {
            copy[row * deep + i] = i < size ? source[row * from.stride + i] : 0.0F;
        }
    }
    return {copy, deep};
}

// Where such rows are written; finish() then brings them to where they belong.
class HeadResult {
  public:
    HeadResult(Index size, float* values, Index stride, float* copy)
        : size_(size),
          place_{values, stride},
          written_(works_in_place(size) ? place_ : HeadTarget{copy, rounded_up(size, kTileColumns)}) {}

    HeadTarget target() const { return written_; }

    void finish(Index rows) const {
        if (written_.values == place_.values) {
            return;
        }
        for (Index row = 0; row < rows; ++row) {
            memcpy(place_.values + row * place_.stride, written_.values + row * written_.stride,
                   static_cast<std::size_t>(size_) * sizeof(float));
        }
    }

  private:
    Index size_;
    HeadTarget place_;
    HeadTarget written_;
};

// softmax(factor * row) of the first `count` of `wide` columns; the others become 0.
void softmax_row(Index count, Index wide, float factor, float* row) {
    constexpr float kLowest = -1e30F;
    for (Index i = count; i < wide; ++i) {
        row[i] = kLowest;
    }
    float largest = row[0];
    for (Index i = 0; i < wide; ++i) {
        largest = row[i] > largest ? row[i] : largest;
    }
    float sum = 0.0F;
    for (Index i = 0; i < wide; ++i) {
        const float weight = exponential(factor * (row[i] - largest));
        row[i] = weight;
        sum += weight;
    }
    const float inverse = 1.0F / sum;
    for (Index i = 0; i < wide; ++i) {
        row[i] *= inverse;
    }
}

// Writes one head's gradient: a b or a^T b. Adds its rows up.
template <Left left>
void write_gradient(Index rows, Index size, Index depth, const ColumnsOf& a, const ColumnsOf& b,
                    const GradientOfColumns& to, Index first_row, Index first_column, float* copy) {
    const HeadResult result(size, to.values + first_row * to.stride + first_column, to.stride, copy);
    const HeadTarget target = result.target();
    multiply<left>(rows, rounded_up(size, kTileColumns), depth, a, b, target);
    result.finish(rows);
    float* const sums = to.sums + first_column;
    for (Index row = 0; row < rows; ++row) {
        const float* const from = target.values + row * target.stride;
        for (Index i = 0; i < size; ++i) {
            sums[i] += from[i];
        }
    }
}

}  // namespace

void attention(RowRange texts, const AttentionShape& shape, const Dropout& dropout, const ColumnsOf& query,
               const ColumnsOf& key, const ColumnsOf& value, float* weights, float* output,
               Index output_stride, float* scratch) {
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
            const ColumnsOf q = rows_of_head(queries, size, query, first_query, column, part.query);
            const ColumnsOf k = rows_of_head(rows, size, key, first_row, column, part.key);
            const ColumnsOf v = rows_of_head(rows, size, value, first_row, column, part.value);
            transpose(rows, deep, k.values, k.stride, part.transposed, wide);
            float* const softmax = weights + shape.weight_offsets[text] + head * queries * wide;
            multiply<Left::by_row>(queries, wide, deep, q, {part.transposed, wide}, {softmax, wide});
            for (Index i = 0; i < queries; ++i) {
                float* const row = softmax + i * wide;
                softmax_row(rows, wide, factor, row);
                if (dropout.enabled()) {
                    fill_mask(dropout, shape.example[text],
                              attention_row(static_cast<std::uint32_t>(head), static_cast<std::uint32_t>(i)),
                              wide, part.mask);
                    float* const dropped = part.dropped + i * wide;
                    for (Index j = 0; j < wide; ++j) {
                        dropped[j] = row[j] * part.mask[j];
                    }
                }
            }
            const HeadResult result(size, output + first_query * output_stride + column, output_stride,
                                    part.result);
            multiply<Left::by_row>(queries, deep, rows, {dropout.enabled() ? part.dropped : softmax, wide}, v,
                                   result.target());
            result.finish(queries);
        }
    }
}

void attention_backward(RowRange texts, const AttentionShape& shape, const Dropout& dropout,
                        const ColumnsOf& query, const ColumnsOf& key, const ColumnsOf& value,
                        const float* weights, const float* grad_output, Index grad_output_stride,
                        const GradientOfColumns& grad_query, const GradientOfColumns& grad_key,
                        const GradientOfColumns& grad_value, float* scratch) {
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
            const ColumnsOf q = rows_of_head(queries, size, query, first_query, column, part.query);
            const ColumnsOf k = rows_of_head(rows, size, key, first_row, column, part.key);
            const ColumnsOf v = rows_of_head(rows, size, value, first_row, column, part.value);
            const ColumnsOf upstream = rows_of_head(queries, size, {grad_output, grad_output_stride},
                                                    first_query, column, part.grad_out);
            const float* const softmax = weights + shape.weight_offsets[text] + head * queries * wide;

            // Gradient of the weights after dropout, then through dropout and softmax, row by row.
            transpose(rows, deep, v.values, v.stride, part.transposed, wide);
            multiply<Left::by_row>(queries, wide, deep, upstream, {part.transposed, wide},
                                   {part.scores, wide});
            for (Index i = 0; i < queries; ++i) {
                const float* const weight = softmax + i * wide;
                float* const gradient = part.scores + i * wide;
                if (dropout.enabled()) {
                    fill_mask(dropout, shape.example[text],
                              attention_row(static_cast<std::uint32_t>(head), static_cast<std::uint32_t>(i)),
                              wide, part.mask);
                    float* const dropped = part.dropped + i * wide;
                    for (Index j = 0; j < wide; ++j) {
                        dropped[j] = weight[j] * part.mask[j];
                        gradient[j] *= part.mask[j];
                    }
                }
                float inner = 0.0F;
                for (Index j = 0; j < wide; ++j) {
                    inner += gradient[j] * weight[j];
                }
                for (Index j = 0; j < wide; ++j) {
                    gradient[j] = factor * weight[j] * (gradient[j] - inner);
                }
            }
            const ColumnsOf applied{dropout.enabled() ? part.dropped : softmax, wide};
            const ColumnsOf scores{part.scores, wide};
            write_gradient<Left::by_depth>(rows, size, queries, applied, upstream, grad_value, first_row,
                                           column, part.result);
            write_gradient<Left::by_row>(queries, size, rows, scores, k, grad_query, first_query, column,
                                         part.result);
            write_gradient<Left::by_depth>(rows, size, queries, scores, q, grad_key, first_row, column,
                                           part.result);
        }
    }
}

}  // namespace orchestrate::ORCHESTRATE_KERNEL_SET
