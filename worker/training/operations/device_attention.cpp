// Attention of DeviceOperations: flash attention over the packed texts where a device has it and nothing is dropped, else
// LibTorch's operations over a padded view, with keyed dropout.
#include <array>
#include <cmath>
#include <limits>

#include "worker/training/operations/device_operations.h"
#include "worker/training/operations/operation_parts.h"

namespace orchestrate {

using namespace operation_parts;

namespace {

// Query, key and value lie in one matrix or in two: [rows, parts x hidden].
Tensor part(const Tensor& matrix, std::int64_t number, std::int64_t parts, std::int64_t heads) {
    return matrix.view({matrix.size(0), parts, heads, -1}).select(1, number);
}

struct FlashBackward : Node {
    std::shared_ptr<const DeviceKernels> kernels;
    Tensor query;      // [rows, 3 hidden], or [texts, hidden] if the first of key_value's parts is the key
    Tensor key_value;  // [rows, 3 hidden], or [rows, 2 hidden]
    std::int64_t heads = 0;
    FlashResult forward;  // without its output
    Tensor output;        // a view of it without history
    VariedLengths lengths;

    bool is_first_query_only() const { return !query.is_same(key_value); }
    std::int64_t parts() const { return is_first_query_only() ? 2 : 3; }
    Tensor query_part() const { return part(query, 0, is_first_query_only() ? 1 : 3, heads); }
    Tensor key_part() const { return part(key_value, parts() - 2, parts(), heads); }
    Tensor value_part() const { return part(key_value, parts() - 1, parts(), heads); }

    Tensor run() {
        forward = kernels->flash_attention(query_part(), key_part(), value_part(), lengths);
        output = forward.output;
        forward.output.reset();
        return output.view({query.size(0), -1});
    }

    variable_list apply(variable_list&& upstream) override {
        const Tensor gradient = upstream[0].contiguous().view(output.sizes());
        FlashResult whole = forward;
        whole.output = output;
        const FlashGradients found = kernels->flash_attention_backward(gradient, query_part(), key_part(),
                                                                       value_part(), whole, lengths);
        if (is_first_query_only()) {
            return {found.query.reshape(query.sizes()),
                    at::stack({found.key, found.value}, 1).view(key_value.sizes())};
        }
        return {at::stack({found.query, found.key, found.value}, 1).view(query.sizes())};
    }
};

}  // namespace

// A padded [texts, longest] view of the rows.
struct DeviceOperations::Padded {
    Tensor row;     // [texts x longest]; 0 where there is none
    Tensor is_row;  // [texts, longest]
    Tensor place;   // [rows]: of each row in the view

    explicit Padded(const BatchTensors& batch) {
        const BatchShape& shape = batch.shape;
        const Tensor place_in_text = at::arange(shape.longest, batch.text_begin.options());
        is_row = place_in_text.unsqueeze(0) < batch.text_begin.diff().unsqueeze(1);
        row = ((batch.text_begin.narrow(0, 0, shape.texts).unsqueeze(1) + place_in_text) * is_row).view({-1});
        const Tensor place_of_row = at::arange(shape.rows, batch.text_begin.options()) -
                                    batch.text_begin.index_select(0, batch.row_text);
        place = batch.row_text * shape.longest + place_of_row;
    }
};

bool DeviceOperations::uses_flash(std::int64_t head_size, const Dropout& dropout,
                                  const Tensor* probabilities) const {
    constexpr std::int64_t kLargestHead = 256;
    return kernels_->flash_attention && type_ == at::kBFloat16 && !dropout.enabled() &&
           probabilities == nullptr && head_size % 8 == 0 && head_size <= kLargestHead;
}

Tensor DeviceOperations::attention(const BatchTensors& batch, const Tensor& qkv, std::int64_t heads,
                                   const Dropout& dropout, Tensor* probabilities) const {
    const std::int64_t hidden = qkv.size(1) / 3;
    if (!uses_flash(hidden / heads, dropout, probabilities)) {
        const auto parts = qkv.split(hidden, 1);
        return exact_attention(batch, parts[0], parts[1], parts[2], heads, false, dropout, probabilities);
    }
    auto node = std::make_shared<FlashBackward>();
    node->kernels = kernels_;
    node->query = node->key_value = qkv.detach().contiguous();
    node->heads = heads;
    node->lengths = {batch.text_begin, batch.text_begin, batch.shape.longest, batch.shape.longest};
    const Tensor output = node->run();
    if (wants_gradient({qkv})) {
        node->output = node->output.detach();
        record(node, output, qkv);
    }
    return output;
}

Tensor DeviceOperations::first_token_attention(const BatchTensors& batch, const Tensor& query,
                                               const Tensor& key_value, std::int64_t heads,
                                               const Dropout& dropout) const {
    const std::int64_t hidden = query.size(1);
    if (!uses_flash(hidden / heads, dropout, nullptr)) {
        const auto parts = key_value.split(hidden, 1);
        return exact_attention(batch, query, parts[0], parts[1], heads, true, dropout, nullptr);
    }
    auto node = std::make_shared<FlashBackward>();
    node->kernels = kernels_;
    node->query = query.detach().contiguous();
    node->key_value = key_value.detach().contiguous();
    node->heads = heads;
    node->lengths = {at::arange(batch.shape.texts + 1, batch.text_begin.options()), batch.text_begin, 1,
                     batch.shape.longest};
    const Tensor output = node->run();
    if (wants_gradient({query, key_value})) {
        node->output = node->output.detach();
        record(node, output, query, key_value);
    }
    return output;
}

Tensor DeviceOperations::exact_attention(const BatchTensors& batch, const Tensor& query, const Tensor& key,
                                         const Tensor& value, std::int64_t heads, bool first_query_only,
                                         const Dropout& dropout, Tensor* probabilities) const {
    const std::int64_t texts = batch.shape.texts;
    const std::int64_t longest = batch.shape.longest;
    const std::int64_t hidden = query.size(1);
    const std::int64_t head_size = hidden / heads;
    const std::int64_t queries = first_query_only ? 1 : longest;
    const Padded padded(batch);
    const auto heads_of = [&](const Tensor& x, std::int64_t length) {
        return x.view({texts, length, heads, head_size}).transpose(1, 2);
    };
    const Tensor q = heads_of(first_query_only ? query : query.index_select(0, padded.row), queries);
    const Tensor k = heads_of(key.index_select(0, padded.row), longest);
    const Tensor v = heads_of(value.index_select(0, padded.row), longest);
    const Tensor hidden_keys = padded.is_row.logical_not().view({texts, 1, 1, longest});
    Tensor weights =
        at::matmul(q, k.transpose(2, 3)).to(at::kFloat) / std::sqrt(static_cast<double>(head_size));
    weights = weights.masked_fill(hidden_keys, -std::numeric_limits<double>::infinity()).softmax(-1);
    if (probabilities != nullptr) {
        *probabilities = weights.detach() * padded.is_row.view({texts, 1, longest, 1});
    }
    if (dropout.enabled()) {
        const std::array<std::int64_t, 3> shape{texts, heads, queries};
        const auto options = batch.text_begin.options();
        RowDropout row_dropout;
        row_dropout.rows.example = batch.text_example.view({texts, 1, 1}).expand(shape).reshape({-1});
        row_dropout.rows.position =
            (at::arange(heads, options).view({1, heads, 1}) * static_cast<std::int64_t>(attention_row(1, 0)) +
             at::arange(queries, options))
                .expand(shape)
                .reshape({-1});
        row_dropout.dropout = dropout;
        row_dropout.key = key_of(batch, dropout);
        weights = weights * kernels_->keep(row_dropout, longest).view_as(weights) * dropout.scale;
    }
    const Tensor mixed = at::matmul(weights.to(type_), v).transpose(1, 2).reshape({texts * queries, hidden});
    return first_query_only ? mixed : mixed.index_select(0, padded.place);
}

}  // namespace orchestrate
