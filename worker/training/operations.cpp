#include "worker/training/operations.h"

#include <algorithm>
#include <limits>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

namespace orchestrate {

namespace {

using at::Tensor;
using torch::autograd::Node;
using torch::autograd::variable_list;

constexpr std::int64_t kRowsPerChunk = 64;
constexpr std::int64_t kTextsPerChunk = 2;

// How many threads share `count` things when each should have at least `smallest`.
std::int64_t chunks_for(std::int64_t count, std::int64_t smallest) {
    return std::clamp<std::int64_t>(count / smallest, 1, at::get_num_threads());
}

// Calls work(chunk, range) for `chunks` parts of [0, count), in threads of LibTorch's pool.
template <class Work>
void in_chunks(std::int64_t count, std::int64_t chunks, const Work& work) {
    if (chunks == 1) {
        work(0, RowRange{0, count});
        return;
    }
    at::parallel_for(0, chunks, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t chunk = begin; chunk < end; ++chunk) {
            work(chunk, RowRange{count * chunk / chunks, count * (chunk + 1) / chunks});
        }
    });
}

// Memory with one row per chunk.
class PerChunk {
  public:
    static PerChunk zeros(std::int64_t chunks, std::int64_t floats) {
        return PerChunk(at::zeros({chunks, floats}, at::kFloat));
    }
    static PerChunk scratch(std::int64_t chunks, std::int64_t floats) {
        return PerChunk(at::empty({chunks, floats}, at::kFloat));
    }
    float* of(std::int64_t chunk) const { return tensor_.data_ptr<float>() + chunk * tensor_.size(1); }
    // In order of the chunks: the same bits whatever thread ran first.
    Tensor total() const { return tensor_.size(0) == 1 ? tensor_.select(0, 0) : tensor_.sum(0); }

  private:
    explicit PerChunk(Tensor tensor) : tensor_(std::move(tensor)) {}
    Tensor tensor_;
};

std::int64_t random_floats(std::int64_t columns) {
    return (columns + 63) / 64 * 64;
}

const float* data(const Tensor& tensor) {
    return tensor.const_data_ptr<float>();
}
float* mutable_data(const Tensor& tensor) {
    return tensor.mutable_data_ptr<float>();
}

template <class NodeType, class... Inputs>
void record(const std::shared_ptr<NodeType>& node, const Tensor& output, const Inputs&... inputs) {
    node->set_next_edges(torch::autograd::collect_next_edges(inputs...));
    torch::autograd::set_history(output, node);
}

bool wants_gradient(std::initializer_list<std::reference_wrapper<const Tensor>> inputs) {
    return at::GradMode::is_enabled() && std::any_of(inputs.begin(), inputs.end(), [](const Tensor& input) {
               return input.requires_grad();
           });
}

const TokenKey* keys_of(const BatchLayout& layout, Rows rows) {
    return rows == Rows::tokens ? layout.batch.token_key.data() : layout.batch.text_key.data();
}

LayerNormParameters raw(const NormTensors& norm) {
    return {data(norm.gain), data(norm.bias), static_cast<float>(norm.epsilon)};
}

// --- matrix products ---

// One node instead of the four of at::mm(x, weight.t()).
struct ProjectBackward : Node {
    Tensor x;
    Tensor weight;

    variable_list apply(variable_list&& upstream) override {
        const Tensor& gradient = upstream[0];
        return {at::mm(gradient, weight), at::mm(gradient.t(), x)};
    }
};

// --- embeddings ---

struct EmbedBackward : Node {
    BatchLayoutPtr layout;
    Dropout dropout;
    Tensor gain;
    Tensor normalized;
    Tensor inverse_deviation;
    std::int64_t words = 0;
    std::int64_t positions = 0;

    variable_list apply(variable_list&& upstream) override {
        const Tensor gradient = upstream[0].contiguous();
        const std::int64_t rows = gradient.size(0);
        const std::int64_t columns = gradient.size(1);
        const std::int64_t chunks = chunks_for(rows, kRowsPerChunk);
        const auto sums = PerChunk::zeros(chunks, 2 * columns);
        const auto random = PerChunk::scratch(chunks, random_floats(columns));
        const Tensor grad_sum = at::empty_like(gradient);
        in_chunks(rows, chunks, [&](std::int64_t chunk, RowRange range) {
            best_kernels().embed_backward(range, columns, data(gradient), data(gain), dropout,
                                          layout->batch.token_key.data(), data(normalized),
                                          data(inverse_deviation), mutable_data(grad_sum), sums.of(chunk),
                                          sums.of(chunk) + columns, random.of(chunk));
        });
        const Tensor grad_word = at::zeros({words, columns}, at::kFloat);
        const Tensor grad_position = at::zeros({positions, columns}, at::kFloat);
        const float* const from = data(grad_sum);
        for (std::int64_t row = 0; row < rows; ++row) {
            const auto at = static_cast<std::size_t>(row);
            float* const word = mutable_data(grad_word) + layout->batch.token[at] * columns;
            float* const position = mutable_data(grad_position) + layout->batch.position_id[at] * columns;
            for (std::int64_t i = 0; i < columns; ++i) {
                word[i] += from[row * columns + i];
                position[i] += from[row * columns + i];
            }
        }
        const Tensor total = sums.total();
        return {grad_word, grad_position, grad_position.sum(0, /*keepdim=*/true), total.narrow(0, 0, columns),
                total.narrow(0, columns, columns)};
    }
};

// --- residual + dropout + layer norm ---

struct AddNormBackward : Node {
    BatchLayoutPtr layout;
    Rows rows_kind = Rows::tokens;
    Dropout dropout;
    Tensor gain;
    Tensor normalized;
    Tensor inverse_deviation;

    variable_list apply(variable_list&& upstream) override {
        const Tensor gradient = upstream[0].contiguous();
        const std::int64_t rows = gradient.size(0);
        const std::int64_t columns = gradient.size(1);
        const std::int64_t chunks = chunks_for(rows, kRowsPerChunk);
        const auto sums = PerChunk::zeros(chunks, 3 * columns);
        const auto random = PerChunk::scratch(chunks, random_floats(columns));
        const Tensor grad_residual = at::empty_like(gradient);
        const Tensor grad_values = at::empty_like(gradient);
        in_chunks(rows, chunks, [&](std::int64_t chunk, RowRange range) {
            float* const sum = sums.of(chunk);
            best_kernels().add_norm_backward(
                range, columns, data(gradient), data(gain), dropout, keys_of(*layout, rows_kind),
                data(normalized), data(inverse_deviation), mutable_data(grad_residual),
                mutable_data(grad_values), sum, sum + columns, sum + 2 * columns, random.of(chunk));
        });
        const Tensor total = sums.total();
        return {grad_values, total.narrow(0, 0, columns), grad_residual, total.narrow(0, columns, columns),
                total.narrow(0, 2 * columns, columns)};
    }
};

// --- bias + GELU ---

struct BiasGeluBackward : Node {
    Tensor biased;

    variable_list apply(variable_list&& upstream) override {
        const Tensor gradient = upstream[0].contiguous();
        const std::int64_t rows = gradient.size(0);
        const std::int64_t columns = gradient.size(1);
        const std::int64_t chunks = chunks_for(rows, kRowsPerChunk);
        const auto sums = PerChunk::zeros(chunks, columns);
        const Tensor grad_values = at::empty_like(gradient);
        in_chunks(rows, chunks, [&](std::int64_t chunk, RowRange range) {
            best_kernels().bias_gelu_backward(range, columns, data(gradient), data(biased),
                                              mutable_data(grad_values), sums.of(chunk));
        });
        return {grad_values, sums.total()};
    }
};

// --- attention ---

// Query, key and value as columns of one or two matrices.
struct AttentionInputs {
    BatchLayoutPtr layout;
    std::vector<std::int64_t> weight_offsets;  // per text; one more entry than texts
    std::int64_t heads = 0;
    std::int64_t hidden = 0;
    bool first_query_only = false;
    Dropout dropout;
    Tensor query;      // [tokens, 3 hidden], or [texts, hidden] if first_query_only
    Tensor key_value;  // the same tensor, or [tokens, 2 hidden]
    Tensor bias;       // [3 hidden]

    void find_weight_offsets() {
        weight_offsets = {0};
        const auto& offsets = layout->batch.offsets;
        for (std::size_t text = 0; text + 1 < offsets.size(); ++text) {
            weight_offsets.push_back(
                weight_offsets.back() +
                attention_weight_floats(offsets[text + 1] - offsets[text], heads, first_query_only));
        }
    }

    AttentionShape shape() const {
        return {heads,
                hidden / heads,
                layout->batch.offsets.data(),
                weight_offsets.data(),
                layout->batch.example.data(),
                first_query_only,
                layout->batch.longest};
    }
    std::int64_t key_column() const { return first_query_only ? 0 : hidden; }
    BiasedColumns query_columns() const { return {data(query), query.size(1), data(bias)}; }
    BiasedColumns key_columns() const {
        return {data(key_value) + key_column(), key_value.size(1), data(bias) + hidden};
    }
    BiasedColumns value_columns() const {
        return {data(key_value) + key_column() + hidden, key_value.size(1), data(bias) + 2 * hidden};
    }
};

struct AttentionBackward : Node {
    AttentionInputs in;
    Tensor weights;

    variable_list apply(variable_list&& upstream) override {
        const Tensor gradient = upstream[0].contiguous();
        const AttentionShape shape = in.shape();
        const std::int64_t texts = in.layout->batch.texts();
        const std::int64_t chunks = chunks_for(texts, kTextsPerChunk);
        const std::int64_t hidden = in.hidden;
        const auto sums = PerChunk::zeros(chunks, 3 * hidden);
        const auto scratch = PerChunk::scratch(chunks, attention_scratch_floats(shape));
        const Tensor grad_query = at::empty_like(in.query);
        const Tensor grad_key_value = in.first_query_only ? at::empty_like(in.key_value) : grad_query;
        in_chunks(texts, chunks, [&](std::int64_t chunk, RowRange range) {
            float* const sum = sums.of(chunk);
            float* const key_value = mutable_data(grad_key_value) + in.key_column();
            const std::int64_t stride = grad_key_value.size(1);
            best_kernels().attention_backward(
                range, shape, in.dropout, in.query_columns(), in.key_columns(), in.value_columns(),
                data(weights), data(gradient), hidden, {mutable_data(grad_query), grad_query.size(1), sum},
                {key_value, stride, sum + hidden}, {key_value + hidden, stride, sum + 2 * hidden},
                scratch.of(chunk));
        });
        if (in.first_query_only) {
            return {grad_query, grad_key_value, sums.total()};
        }
        return {grad_query, sums.total()};
    }
};

Tensor run_attention(AttentionInputs in, Tensor& weights) {
    const std::int64_t texts = in.layout->batch.texts();
    weights = at::empty({in.weight_offsets.back()}, at::kFloat);
    const Tensor output =
        at::empty({in.first_query_only ? texts : in.layout->batch.rows(), in.hidden}, at::kFloat);
    const AttentionShape shape = in.shape();
    const std::int64_t chunks = chunks_for(texts, kTextsPerChunk);
    const auto scratch = PerChunk::scratch(chunks, attention_scratch_floats(shape));
    in_chunks(texts, chunks, [&](std::int64_t chunk, RowRange range) {
        best_kernels().attention(range, shape, in.dropout, in.query_columns(), in.key_columns(),
                                 in.value_columns(), mutable_data(weights), mutable_data(output), in.hidden,
                                 scratch.of(chunk));
    });
    return output;
}

// --- helpers of the composite versions ---

Tensor on_device(const std::vector<std::int64_t>& values, at::Device device) {
    return at::tensor(at::ArrayRef<std::int64_t>(values), at::kLong).to(device);
}

// Of each place in a padded [texts, longest] view: its row, or -1.
std::vector<std::int64_t> padded_rows(const PackedBatch& batch) {
    std::vector<std::int64_t> rows(static_cast<std::size_t>(batch.texts() * batch.longest), -1);
    for (std::int64_t text = 0; text < batch.texts(); ++text) {
        const std::int64_t begin = batch.offsets[static_cast<std::size_t>(text)];
        const std::int64_t end = batch.offsets[static_cast<std::size_t>(text) + 1];
        for (std::int64_t row = begin; row < end; ++row) {
            rows[static_cast<std::size_t>(text * batch.longest + row - begin)] = row;
        }
    }
    return rows;
}

Tensor make_mask(const std::vector<TokenKey>& keys, std::int64_t columns, const Dropout& dropout) {
    const auto rows = static_cast<std::int64_t>(keys.size());
    const Tensor mask = at::empty({rows, columns}, at::kFloat);
    const auto random = PerChunk::scratch(1, random_floats(columns));
    best_kernels().dropout_mask({0, rows}, columns, dropout, keys.data(), mutable_data(mask), random.of(0));
    return mask;
}

}  // namespace

Operations::Operations(at::Device device, bool composite)
    : device_(device), composite_(composite || !device.is_cpu()) {}

Tensor Operations::mask(const BatchLayoutPtr& layout, Rows rows, std::int64_t columns,
                        const Dropout& dropout) const {
    const auto& keys = rows == Rows::tokens ? layout->batch.token_key : layout->batch.text_key;
    return make_mask(keys, columns, dropout).to(device_);
}

Tensor Operations::project(const Tensor& x, const Tensor& weight) const {
    if (composite_) {
        return at::mm(x, weight.t());
    }
    const Tensor plain_x = x.detach();
    const Tensor plain_weight = weight.detach();
    const Tensor output = at::mm(plain_x, plain_weight.t());
    if (wants_gradient({x, weight})) {
        auto node = std::make_shared<ProjectBackward>();
        node->x = plain_x;
        node->weight = plain_weight;
        record(node, output, x, weight);
    }
    return output;
}

Tensor Operations::embed(const BatchLayoutPtr& layout, const Tensor& word, const Tensor& position,
                         const Tensor& type, const NormTensors& norm, const Dropout& dropout) const {
    const PackedBatch& batch = layout->batch;
    const std::int64_t columns = word.size(1);
    if (composite_) {
        const Tensor sum = word.index_select(0, on_device(batch.token, device_)) + type +
                           position.index_select(0, on_device(batch.position_id, device_));
        const Tensor output = at::layer_norm(sum, {columns}, norm.gain, norm.bias, norm.epsilon);
        return dropout.enabled() ? output * mask(layout, Rows::tokens, columns, dropout) : output;
    }
    const std::int64_t rows = batch.rows();
    const std::int64_t chunks = chunks_for(rows, kRowsPerChunk);
    const auto random = PerChunk::scratch(chunks, random_floats(columns));
    const Tensor normalized = at::empty({rows, columns}, at::kFloat);
    const Tensor inverse_deviation = at::empty({rows}, at::kFloat);
    const Tensor output = at::empty({rows, columns}, at::kFloat);
    in_chunks(rows, chunks, [&](std::int64_t chunk, RowRange range) {
        best_kernels().embed(range, columns, batch.token.data(), batch.position_id.data(), data(word),
                             data(position), data(type), raw(norm), dropout, batch.token_key.data(),
                             mutable_data(normalized), mutable_data(inverse_deviation), mutable_data(output),
                             random.of(chunk));
    });
    if (wants_gradient({word, position, type, norm.gain, norm.bias})) {
        auto node = std::make_shared<EmbedBackward>();
        node->layout = layout;
        node->dropout = dropout;
        node->gain = norm.gain.detach();
        node->normalized = normalized;
        node->inverse_deviation = inverse_deviation;
        node->words = word.size(0);
        node->positions = position.size(0);
        record(node, output, word, position, type, norm.gain, norm.bias);
    }
    return output;
}

Tensor Operations::add_norm(const BatchLayoutPtr& layout, Rows rows_kind, const Tensor& values,
                            const Tensor& bias, const Tensor& residual, const NormTensors& norm,
                            const Dropout& dropout) const {
    const std::int64_t columns = values.size(1);
    if (composite_) {
        Tensor sum = values + bias;
        if (dropout.enabled()) {
            sum = sum * mask(layout, rows_kind, columns, dropout);
        }
        return at::layer_norm(sum + residual, {columns}, norm.gain, norm.bias, norm.epsilon);
    }
    const std::int64_t rows = values.size(0);
    const std::int64_t chunks = chunks_for(rows, kRowsPerChunk);
    const auto random = PerChunk::scratch(chunks, random_floats(columns));
    const Tensor normalized = at::empty({rows, columns}, at::kFloat);
    const Tensor inverse_deviation = at::empty({rows}, at::kFloat);
    const Tensor output = at::empty({rows, columns}, at::kFloat);
    in_chunks(rows, chunks, [&](std::int64_t chunk, RowRange range) {
        best_kernels().add_norm(range, columns, data(values), data(bias), data(residual), raw(norm), dropout,
                                keys_of(*layout, rows_kind), mutable_data(normalized),
                                mutable_data(inverse_deviation), mutable_data(output), random.of(chunk));
    });
    if (wants_gradient({values, bias, residual, norm.gain, norm.bias})) {
        auto node = std::make_shared<AddNormBackward>();
        node->layout = layout;
        node->rows_kind = rows_kind;
        node->dropout = dropout;
        node->gain = norm.gain.detach();
        node->normalized = normalized;
        node->inverse_deviation = inverse_deviation;
        record(node, output, values, bias, residual, norm.gain, norm.bias);
    }
    return output;
}

Tensor Operations::bias_gelu(const Tensor& values, const Tensor& bias) const {
    if (composite_) {
        return at::gelu(values + bias);
    }
    const std::int64_t rows = values.size(0);
    const std::int64_t columns = values.size(1);
    const Tensor biased = values.detach();
    const Tensor output = at::empty({rows, columns}, at::kFloat);
    in_chunks(rows, chunks_for(rows, kRowsPerChunk), [&](std::int64_t, RowRange range) {
        best_kernels().bias_gelu(range, columns, mutable_data(biased), data(bias), mutable_data(output));
    });
    if (wants_gradient({values, bias})) {
        auto node = std::make_shared<BiasGeluBackward>();
        node->biased = biased;
        record(node, output, values, bias);
    }
    return output;
}

Tensor Operations::attention(const BatchLayoutPtr& layout, const Tensor& qkv, const Tensor& bias,
                             std::int64_t heads, const Dropout& dropout) const {
    const std::int64_t hidden = bias.size(0) / 3;
    if (composite_) {
        const auto parts = (qkv + bias).split(hidden, 1);
        return composite_attention(layout, parts[0], parts[1], parts[2], heads, false, dropout);
    }
    AttentionInputs in{layout, {}, heads, hidden, false, dropout, qkv.detach(), qkv.detach(), bias.detach()};
    in.find_weight_offsets();
    Tensor weights;
    const Tensor output = run_attention(in, weights);
    if (wants_gradient({qkv, bias})) {
        auto node = std::make_shared<AttentionBackward>();
        node->in = std::move(in);
        node->weights = weights;
        record(node, output, qkv, bias);
    }
    return output;
}

Tensor Operations::first_token_attention(const BatchLayoutPtr& layout, const Tensor& query,
                                         const Tensor& key_value, const Tensor& bias, std::int64_t heads,
                                         const Dropout& dropout) const {
    const std::int64_t hidden = bias.size(0) / 3;
    if (composite_) {
        const auto biases = bias.split(hidden, 0);
        const auto parts = key_value.split(hidden, 1);
        return composite_attention(layout, query + biases[0], parts[0] + biases[1], parts[1] + biases[2],
                                   heads, true, dropout);
    }
    AttentionInputs in{layout,       {}, heads, hidden, true, dropout, query.detach(), key_value.detach(),
                       bias.detach()};
    in.find_weight_offsets();
    Tensor weights;
    const Tensor output = run_attention(in, weights);
    if (wants_gradient({query, key_value, bias})) {
        auto node = std::make_shared<AttentionBackward>();
        node->in = std::move(in);
        node->weights = weights;
        record(node, output, query, key_value, bias);
    }
    return output;
}

Tensor Operations::composite_attention(const BatchLayoutPtr& layout, const Tensor& query, const Tensor& key,
                                       const Tensor& value, std::int64_t heads, bool first_query_only,
                                       const Dropout& dropout) const {
    const PackedBatch& batch = layout->batch;
    const std::int64_t texts = batch.texts();
    const std::int64_t hidden = query.size(1);
    const std::int64_t head_size = hidden / heads;
    const std::int64_t queries = first_query_only ? 1 : batch.longest;
    const Tensor row_or_none = on_device(padded_rows(batch), device_);
    const Tensor padded = row_or_none.clamp_min(0);
    const auto heads_of = [&](const Tensor& x, std::int64_t length) {
        return x.view({texts, length, heads, head_size}).transpose(1, 2);
    };
    const Tensor q = heads_of(first_query_only ? query : query.index_select(0, padded), queries);
    const Tensor k = heads_of(key.index_select(0, padded), batch.longest);
    const Tensor v = heads_of(value.index_select(0, padded), batch.longest);
    const Tensor hidden_keys = (row_or_none < 0).view({texts, 1, 1, batch.longest});
    Tensor weights = at::matmul(q, k.transpose(2, 3)) / std::sqrt(static_cast<double>(head_size));
    weights = weights.masked_fill(hidden_keys, -std::numeric_limits<double>::infinity()).softmax(-1);
    if (dropout.enabled()) {
        std::vector<TokenKey> keys;
        for (const std::uint32_t example : batch.example) {
            for (std::int64_t head = 0; head < heads; ++head) {
                for (std::int64_t i = 0; i < queries; ++i) {
                    keys.push_back({example, attention_row(static_cast<std::uint32_t>(head),
                                                           static_cast<std::uint32_t>(i))});
                }
            }
        }
        weights = weights * make_mask(keys, batch.longest, dropout).to(device_).view_as(weights);
    }
    const Tensor mixed = at::matmul(weights, v).transpose(1, 2).reshape({texts * queries, hidden});
    if (first_query_only) {
        return mixed;
    }
    return mixed.index_select(0, at::nonzero(row_or_none >= 0).view(-1));
}

Tensor Operations::dropout(const BatchLayoutPtr& layout, const Tensor& x, const Dropout& dropout) const {
    return dropout.enabled() ? x * mask(layout, Rows::texts, x.size(1), dropout) : x;
}

Tensor Operations::first_rows(const BatchLayoutPtr& layout, const Tensor& x) const {
    std::vector<std::int64_t> first(layout->batch.offsets.begin(), layout->batch.offsets.end() - 1);
    return x.index_select(0, on_device(first, device_));
}

}  // namespace orchestrate
