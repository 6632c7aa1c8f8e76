#include "worker/training/operations/operations.h"

#include "worker/training/operations/device_operations.h"
#include "worker/training/operations/operation_parts.h"

namespace orchestrate {

using namespace operation_parts;

namespace {

// --- embeddings ---

struct EmbedBackward : Node {
    BatchLayoutPtr layout;
    Dropout dropout;
    Tensor gain;
    Tensor normalized;
    Tensor rstd;
    InputGradient word;
    InputGradient position;
    InputGradient type;
    InputGradient norm_gain;
    InputGradient norm_bias;

    variable_list apply(variable_list&& upstream) override {
        const Tensor gradient = upstream[0].contiguous();
        const std::int64_t rows = gradient.size(0);
        const std::int64_t columns = gradient.size(1);
        const std::int64_t chunks = chunks_for(rows, kRowsPerChunk);
        const auto sums = PerChunk::zeros(chunks, 2 * columns);
        const auto random = PerChunk::scratch(chunks, random_scratch_floats(columns));
        const Tensor grad_sum = at::empty_like(gradient);
        in_chunks(rows, chunks, [&](std::int64_t chunk, RowRange range) {
            best_kernels().embed_backward(range, columns, data(gradient), data(gain), dropout,
                                          layout->batch.token_key.data(), data(normalized), data(rstd),
                                          mutable_data(grad_sum), sums.of(chunk), sums.of(chunk) + columns,
                                          random.of(chunk));
        });
        const Tensor grad_word = word.sum();
        const Tensor grad_position = position.sum();
        const float* const from = data(grad_sum);
        for (std::int64_t row = 0; row < rows; ++row) {
            const auto at = static_cast<std::size_t>(row);
            float* const of_word = mutable_data(grad_word) + layout->batch.token[at] * columns;
            float* const of_position = mutable_data(grad_position) + layout->batch.position_id[at] * columns;
            for (std::int64_t i = 0; i < columns; ++i) {
                of_word[i] += from[row * columns + i];
                of_position[i] += from[row * columns + i];
            }
        }
        return {word.given(grad_word), position.given(grad_position), type_gradient(grad_sum),
                norm_gain.add(sums, 0), norm_bias.add(sums, columns)};
    }

    Tensor type_gradient(const Tensor& grad_sum) const {
        const Tensor gradient = type.sum();
        const auto& type_id = layout->batch.type_id;
        if (type_id.empty()) {
            gradient.select(0, 0).add_(grad_sum.sum(0));
        } else {
            gradient.index_add_(0, at::tensor(at::ArrayRef<std::int64_t>(type_id)), grad_sum);
        }
        return type.given(gradient);
    }
};

// The extents of consecutive ranges.
std::vector<std::int64_t> lengths_of(const std::vector<std::int64_t>& offsets) {
    std::vector<std::int64_t> lengths;
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
        lengths.push_back(offsets[i + 1] - offsets[i]);
    }
    return lengths;
}

Tensor reduce_ranges(const Tensor& x, const std::vector<std::int64_t>& offsets, const char* reduction) {
    return at::segment_reduce(x, reduction, on_device(lengths_of(offsets), x.device()), {}, {}, 0,
                              /*unsafe=*/true);
}

}  // namespace

Operations::Operations(at::Device device, bool composite, Precision precision, DeviceKernels kernels)
    : device_(device), precision_(precision) {
    if (composite || !device.is_cpu()) {
        on_device_ = std::make_shared<DeviceOperations>(device, precision, std::move(kernels), nullptr);
    }
}

void Operations::round_weights_of(Bf16Weights* rounded) {
    if (on_device_) {
        on_device_ = std::make_shared<DeviceOperations>(on_device_->reading(rounded));
    }
}

Tensor Operations::embed(const BatchLayoutPtr& layout, const Tensor& word, const Tensor& position,
                         const Tensor& type, const NormTensors& norm, const Dropout& dropout) const {
    if (on_device_) {
        return on_device_->embed(tensors(layout), word, position, type, norm, dropout);
    }
    const PackedBatch& batch = layout->batch;
    const std::int64_t columns = word.size(1);
    const std::int64_t rows = batch.rows();
    const std::int64_t chunks = chunks_for(rows, kRowsPerChunk);
    const auto random = PerChunk::scratch(chunks, random_scratch_floats(columns));
    const Tensor normalized = at::empty({rows, columns}, at::kFloat);
    const Tensor rstd = at::empty({rows}, at::kFloat);
    const Tensor output = at::empty({rows, columns}, at::kFloat);
    in_chunks(rows, chunks, [&](std::int64_t chunk, RowRange range) {
        best_kernels().embed(range, columns, batch.token.data(), batch.position_id.data(),
                             batch.type_id.empty() ? nullptr : batch.type_id.data(), data(word),
                             data(position), data(type), raw(norm), dropout, batch.token_key.data(),
                             mutable_data(normalized), mutable_data(rstd), mutable_data(output),
                             random.of(chunk));
    });
    if (wants_gradient({word, position, type, norm.gain, norm.bias})) {
        auto node = std::make_shared<EmbedBackward>();
        node->layout = layout;
        node->dropout = dropout;
        node->gain = norm.gain.detach();
        node->normalized = normalized;
        node->rstd = rstd;
        node->word = InputGradient(word);
        node->position = InputGradient(position);
        node->type = InputGradient(type);
        node->norm_gain = InputGradient(norm.gain);
        node->norm_bias = InputGradient(norm.bias);
        record(node, output, word, position, type, node->norm_gain.edge(norm.gain),
               node->norm_bias.edge(norm.bias));
    }
    return output;
}

Tensor Operations::dropout(const BatchLayoutPtr& layout, const Tensor& x, const Dropout& dropout) const {
    if (on_device_) {
        return on_device_->dropout(tensors(layout), Rows::texts, x, dropout);
    }
    return dropout.enabled() ? x * make_mask(layout->batch.text_key, x.size(1), dropout) : x;
}

Tensor Operations::mean_rows(const BatchLayoutPtr& layout, const Tensor& x) const {
    return on_device_ ? on_device_->mean_rows(tensors(layout), x)
                      : reduce_ranges(x, layout->batch.offsets, "mean");
}

Tensor Operations::pool_texts(const BatchLayoutPtr& layout, const Tensor& x, WindowPooling pooling) const {
    if (on_device_) {
        return on_device_->pool_texts(tensors(layout), x, pooling);
    }
    if (layout->batch.examples() == layout->batch.texts()) {
        return x;
    }
    return reduce_ranges(x, layout->batch.text_offsets, pooling == WindowPooling::mean ? "mean" : "max");
}

Tensor Operations::first_rows(const BatchLayoutPtr& layout, const Tensor& x) const {
    if (on_device_) {
        return on_device_->first_rows(tensors(layout), x);
    }
    std::vector<std::int64_t> first(layout->batch.offsets.begin(), layout->batch.offsets.end() - 1);
    return x.index_select(0, on_device(first, device_));
}

}  // namespace orchestrate
