// Operations::project and its kin: the products with the weights, alone or with what is done to their rows next. The
// gradient of a weight is added straight to where it is collected, without a tensor of its own.
#include "worker/training/operations/device_operations.h"
#include "worker/training/operations/projection.h"

namespace orchestrate {

using namespace operation_parts;

namespace {

struct ProjectBackward : Node {
    Projection projection;

    variable_list apply(variable_list&& upstream) override {
        const auto gradients = projection.backward(
            upstream[0].contiguous(), {task_should_compute_output(0), task_should_compute_output(1)});
        return {gradients.x, gradients.weight};
    }
};

// --- bias + GELU ---

struct ProjectGeluBackward : Node {
    Projection projection;
    Tensor derivative;
    InputGradient bias;

    variable_list apply(variable_list&& upstream) override {
        const Tensor gradient = upstream[0].contiguous();
        const std::int64_t columns = gradient.size(1);
        const auto sums = PerChunk::zeros(product_chunks(gradient.size(0)), columns);
        const Tensor grad_values = at::empty_like(gradient);
        const auto gradients = projection.backward(
            grad_values, {task_should_compute_output(0), task_should_compute_output(1)},
            [&](std::int64_t chunk, RowRange rows) {
                best_kernels().bias_gelu_backward(rows, columns, data(gradient), data(derivative),
                                                  mutable_data(grad_values), sums.of(chunk));
            });
        return {gradients.x, gradients.weight, bias.add(sums, 0)};
    }
};

// --- residual + dropout + layer norm ---

struct ProjectAddNormBackward : Node {
    Projection projection;
    BatchLayoutPtr layout;
    Rows rows_kind = Rows::tokens;
    Dropout dropout;
    Tensor gain;
    Tensor normalized;
    Tensor rstd;
    InputGradient bias;
    InputGradient norm_gain;
    InputGradient norm_bias;

    variable_list apply(variable_list&& upstream) override {
        const Tensor gradient = upstream[0].contiguous();
        const std::int64_t columns = gradient.size(1);
        const std::int64_t chunks = product_chunks(gradient.size(0));
        const auto sums = PerChunk::zeros(chunks, 3 * columns);
        const auto random = PerChunk::scratch(chunks, random_scratch_floats(columns));
        const Tensor grad_residual = at::empty_like(gradient);
        const Tensor grad_values = at::empty_like(gradient);
        const auto gradients = projection.backward(
            grad_values, {task_should_compute_output(0), task_should_compute_output(1)},
            [&](std::int64_t chunk, RowRange rows) {
                float* const sum = sums.of(chunk);
                best_kernels().add_norm_backward(rows, columns, data(gradient), data(gain), dropout,
                                                 keys_of(*layout, rows_kind), data(normalized), data(rstd),
                                                 mutable_data(grad_residual), mutable_data(grad_values), sum,
                                                 sum + columns, sum + 2 * columns, random.of(chunk));
            });
        return {gradients.x,
                gradients.weight,
                bias.add(sums, 0),
                grad_residual,
                norm_gain.add(sums, columns),
                norm_bias.add(sums, 2 * columns)};
    }
};

}  // namespace

Tensor Operations::project(const Tensor& x, const Tensor& weight, const Tensor& bias,
                           RowRange outputs) const {
    if (on_device_) {
        return on_device_->project(x, weight, bias, outputs);
    }
    const Projection projection(x, weight, outputs, precision_);
    const Tensor output = at::empty({projection.rows(), projection.outputs()}, at::kFloat);
    projection.multiply(output, bias.detach().narrow(0, outputs.begin, outputs.end - outputs.begin));
    if (wants_gradient({x, weight})) {
        auto node = std::make_shared<ProjectBackward>();
        node->projection = projection;
        record(node, output, x, projection.edge(weight, outputs));
    }
    return output;
}

Tensor Operations::project_gelu(const Tensor& x, const Tensor& weight, const Tensor& bias) const {
    const RowRange all{0, weight.size(0)};
    if (on_device_) {
        return on_device_->bias_gelu(on_device_->project(x, weight, {}, all), bias);
    }
    const Projection projection(x, weight, precision_);
    const std::int64_t columns = projection.outputs();
    const Tensor derivative = at::empty({projection.rows(), columns}, at::kFloat);
    const Tensor output = at::empty_like(derivative);
    const auto finish = [&](std::int64_t, RowRange rows) {
        best_kernels().bias_gelu(rows, columns, mutable_data(derivative), data(bias), mutable_data(output));
    };
    projection.multiply(derivative, {nullptr, finish});
    if (wants_gradient({x, weight, bias})) {
        auto node = std::make_shared<ProjectGeluBackward>();
        node->projection = projection;
        node->derivative = derivative;
        node->bias = InputGradient(bias);
        record(node, output, x, projection.edge(weight, all), node->bias.edge(bias));
    }
    return output;
}

Tensor Operations::project_add_norm(const BatchLayoutPtr& layout, Rows rows_kind, const Tensor& x,
                                    const Tensor& weight, const Tensor& bias, const Tensor& residual,
                                    const NormTensors& norm, const Dropout& dropout) const {
    const RowRange all{0, weight.size(0)};
    if (on_device_) {
        return on_device_->add_norm(tensors(layout), rows_kind, on_device_->project(x, weight, {}, all), bias,
                                    residual, norm, dropout);
    }
    const Projection projection(x, weight, precision_);
    const std::int64_t columns = projection.outputs();
    const auto random = PerChunk::scratch(product_chunks(projection.rows()), random_scratch_floats(columns));
    const Tensor normalized = at::empty({projection.rows(), columns}, at::kFloat);  // first the product
    const Tensor rstd = at::empty({projection.rows()}, at::kFloat);
    const Tensor output = at::empty_like(normalized);
    const auto finish = [&](std::int64_t chunk, RowRange rows) {
        best_kernels().add_norm(rows, columns, data(normalized), data(bias), data(residual), raw(norm),
                                dropout, keys_of(*layout, rows_kind), mutable_data(normalized),
                                mutable_data(rstd), mutable_data(output), random.of(chunk));
    };
    projection.multiply(normalized, {nullptr, finish});
    if (wants_gradient({x, weight, bias, residual, norm.gain, norm.bias})) {
        auto node = std::make_shared<ProjectAddNormBackward>();
        node->projection = projection;
        node->layout = layout;
        node->rows_kind = rows_kind;
        node->dropout = dropout;
        node->gain = norm.gain.detach();
        node->normalized = normalized;
        node->rstd = rstd;
        node->bias = InputGradient(bias);
        node->norm_gain = InputGradient(norm.gain);
        node->norm_bias = InputGradient(norm.bias);
        record(node, output, x, projection.edge(weight, all), node->bias.edge(bias), residual,
               node->norm_gain.edge(norm.gain), node->norm_bias.edge(norm.bias));
    }
    return output;
}

}  // namespace orchestrate
