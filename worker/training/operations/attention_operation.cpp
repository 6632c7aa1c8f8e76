// Attention of Operations by the kernels.
#include "worker/training/operations/device_operations.h"
#include "worker/training/operations/operation_parts.h"

namespace orchestrate {

using namespace operation_parts;

namespace {

// Query, key and value as columns of one or two matrices.
struct AttentionInputs {
    BatchLayoutPtr layout;
    std::vector<std::int64_t> weight_offsets;  // per text; one more entry than texts
    std::int64_t heads = 0;
    std::int64_t hidden = 0;
    bool first_query_only = false;
    Dropout dropout;
    Tensor query;        // [tokens, 3 hidden], or [texts, hidden] if first_query_only
    Tensor key_value;    // the same tensor, or [tokens, 2 hidden]
    InputGradient bias;  // [3 hidden], part of the above

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
    ColumnsOf query_columns() const { return {data(query), query.size(1)}; }
    ColumnsOf key_columns() const { return {data(key_value) + key_column(), key_value.size(1)}; }
    ColumnsOf value_columns() const { return {data(key_value) + key_column() + hidden, key_value.size(1)}; }
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
            return {grad_query, grad_key_value, in.bias.add(sums, 0)};
        }
        return {grad_query, in.bias.add(sums, 0)};
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

// What attention of all tokens stored, without the kernels' rounding of its rows.
Tensor padded_probabilities(const AttentionInputs& in, const Tensor& weights) {
    const PackedBatch& batch = in.layout->batch;
    const Tensor padded = at::zeros({batch.texts(), in.heads, batch.longest, batch.longest}, at::kFloat);
    for (std::int64_t text = 0; text < batch.texts(); ++text) {
        const auto at = static_cast<std::size_t>(text);
        const std::int64_t rows = batch.offsets[at + 1] - batch.offsets[at];
        const std::int64_t floats = in.weight_offsets[at + 1] - in.weight_offsets[at];
        const Tensor stored = weights.narrow(0, in.weight_offsets[at], floats).view({in.heads, rows, -1});
        padded.select(0, text).narrow(1, 0, rows).narrow(2, 0, rows).copy_(stored.narrow(2, 0, rows));
    }
    return padded;
}

}  // namespace

Tensor Operations::attention(const BatchLayoutPtr& layout, const Tensor& qkv, const Tensor& bias,
                             std::int64_t heads, const Dropout& dropout, Tensor* probabilities) const {
    const std::int64_t hidden = bias.size(0) / 3;
    if (on_device_) {
        return on_device_->attention(tensors(layout), qkv, heads, dropout, probabilities);
    }
    AttentionInputs in{
        layout, {}, heads, hidden, false, dropout, qkv.detach(), qkv.detach(), InputGradient(bias)};
    in.find_weight_offsets();
    Tensor weights;
    const Tensor output = run_attention(in, weights);
    if (probabilities != nullptr) {
        *probabilities = padded_probabilities(in, weights);
    }
    if (wants_gradient({qkv, bias})) {
        auto node = std::make_shared<AttentionBackward>();
        node->in = std::move(in);
        node->weights = weights;
        record(node, output, qkv, node->in.bias.edge(bias));
    }
    return output;
}

Tensor Operations::first_token_attention(const BatchLayoutPtr& layout, const Tensor& query,
                                         const Tensor& key_value, const Tensor& bias, std::int64_t heads,
                                         const Dropout& dropout) const {
    const std::int64_t hidden = bias.size(0) / 3;
    if (on_device_) {
        return on_device_->first_token_attention(tensors(layout), query, key_value, heads, dropout);
    }
    AttentionInputs in{
        layout, {}, heads, hidden, true, dropout, query.detach(), key_value.detach(), InputGradient(bias)};
    in.find_weight_offsets();
    Tensor weights;
    const Tensor output = run_attention(in, weights);
    if (wants_gradient({query, key_value, bias})) {
        auto node = std::make_shared<AttentionBackward>();
        node->in = std::move(in);
        node->weights = weights;
        record(node, output, query, key_value, node->in.bias.edge(bias));
    }
    return output;
}

}  // namespace orchestrate
