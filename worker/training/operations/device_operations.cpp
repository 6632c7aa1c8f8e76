#include "worker/training/operations/device_operations.h"

#include "worker/training/operations/operation_parts.h"

namespace orchestrate {

using namespace operation_parts;

namespace {

using SharedKernels = std::shared_ptr<const DeviceKernels>;

// The gradient of a weight is added straight to where it is collected.
struct DeviceProjectBackward : Node {
    SharedKernels kernels;
    Tensor x;
    Tensor weight;           // as it was multiplied with
    Tensor weight_gradient;  // where it is collected; undefined: given to what made the weight

    variable_list apply(variable_list&& upstream) override {
        const Tensor gradient = upstream[0].contiguous();
        variable_list gradients(3);
        if (task_should_compute_output(0)) {
            gradients[0] = at::mm(gradient, weight);
        }
        if (task_should_compute_output(1)) {
            const bool collected = weight_gradient.defined();
            const Tensor target =
                collected ? weight_gradient : at::zeros(weight.sizes(), weight.options().dtype(at::kFloat));
            kernels->add_product(target, gradient, x);
            if (!collected) {
                gradients[1] = target;
            }
        }
        if (task_should_compute_output(2)) {
            gradients[2] = gradient.sum(0, false, at::kFloat);
        }
        return gradients;
    }
};

struct DeviceAddNormBackward : Node {
    SharedKernels kernels;
    RowDropout dropout;
    Tensor gain;
    AddNormResult forward;

    variable_list apply(variable_list&& upstream) override {
        const AddNormGradients found =
            kernels->add_norm_backward(upstream[0].contiguous(), forward, gain, dropout);
        return {found.values, found.bias, found.residual, found.gain, found.norm_bias};
    }
};

struct DeviceBiasGeluBackward : Node {
    SharedKernels kernels;
    Tensor values;
    Tensor bias;

    variable_list apply(variable_list&& upstream) override {
        auto [of_values, of_bias] = kernels->bias_gelu_backward(upstream[0].contiguous(), values, bias);
        return {of_values, of_bias};
    }
};

struct DeviceDropoutBackward : Node {
    Tensor kept;
    double scale = 1;

    variable_list apply(variable_list&& upstream) override {
        return {at::native_dropout_backward(upstream[0], kept, scale)};
    }
};

Tensor reduce_ranges(const Tensor& x, const Tensor& begin, const char* reduction) {
    return at::segment_reduce(x, reduction, begin.diff(), {}, {}, 0, /*unsafe=*/true);
}

}  // namespace

DeviceOperations::DeviceOperations(at::Device device, Precision precision, DeviceKernels kernels,
                                   Bf16Weights* rounded)
    : device_(device),
      type_(precision == Precision::bf16 ? at::kBFloat16 : at::kFloat),
      kernels_(std::make_shared<const DeviceKernels>(std::move(kernels))),
      rounded_(rounded) {}

Tensor DeviceOperations::key_of(const BatchTensors& batch, const Dropout& dropout) const {
    if (batch.dropout_key.defined()) {
        return batch.dropout_key;
    }
    return at::tensor({static_cast<std::int32_t>(dropout.key[0]), static_cast<std::int32_t>(dropout.key[1])},
                      at::kInt)
        .to(device_);
}

RowDropout DeviceOperations::row_dropout(const BatchTensors& batch, Rows rows, const Dropout& dropout) const {
    if (!dropout.enabled()) {
        return {};
    }
    return {rows == Rows::tokens ? batch.token_keys() : batch.text_keys(), dropout, key_of(batch, dropout)};
}

Tensor DeviceOperations::embed(const BatchTensors& batch, const Tensor& word, const Tensor& position,
                               const Tensor& type, const NormTensors& norm, const Dropout& dropout) const {
    const Tensor types = batch.type.defined() ? type.index_select(0, batch.type) : type.narrow(0, 0, 1);
    const Tensor sum = word.index_select(0, batch.token) + types + position.index_select(0, batch.position);
    const Tensor output = at::layer_norm(sum, {word.size(1)}, norm.gain, norm.bias, norm.epsilon);
    return this->dropout(batch, Rows::tokens, output.to(type_), dropout);
}

Tensor DeviceOperations::project(const Tensor& x, const Tensor& weight, const Tensor& bias,
                                 RowRange outputs) const {
    const std::int64_t count = outputs.end - outputs.begin;
    const at::Tensor whole = weight.detach();
    Tensor rows;
    if (type_ == at::kFloat) {
        rows = whole.narrow(0, outputs.begin, count);
    } else {
        Tensor twin = rounded_ != nullptr ? rounded_->of(whole) : Tensor();
        rows = (twin.defined() ? twin : whole.to(type_)).narrow(0, outputs.begin, count);
    }
    const Tensor plain_x = x.detach().to(type_).contiguous();
    Tensor output;
    {
        const at::NoGradGuard no_gradients;
        output = bias.defined()
                     ? at::addmm(bias.detach().narrow(0, outputs.begin, count).to(type_), plain_x, rows.t())
                     : at::mm(plain_x, rows.t());
    }
    if (wants_gradient({x, weight}) || (bias.defined() && wants_gradient({bias}))) {
        auto node = std::make_shared<DeviceProjectBackward>();
        node->kernels = kernels_;
        node->x = plain_x;
        node->weight = rows;
        const Tensor of_bias = bias.defined() ? bias.narrow(0, outputs.begin, count) : Tensor();
        if (weight.is_leaf() && weight.grad().defined()) {
            node->weight_gradient = weight.grad().narrow(0, outputs.begin, count);
            record(node, output, x, weight, of_bias);
        } else {
            record(node, output, x, weight.narrow(0, outputs.begin, count), of_bias);
        }
    }
    return output;
}

Tensor DeviceOperations::add_norm(const BatchTensors& batch, Rows rows, const Tensor& values,
                                  const Tensor& bias, const Tensor& residual, const NormTensors& norm,
                                  const Dropout& dropout) const {
    const RowDropout row_dropout = this->row_dropout(batch, rows, dropout);
    AddNormResult forward;
    {
        const at::NoGradGuard no_gradients;
        forward = kernels_->add_norm(values.contiguous(), bias, residual.contiguous(), norm.gain, norm.bias,
                                     norm.epsilon, row_dropout);
    }
    const Tensor output = forward.output;
    if (wants_gradient({values, bias, residual, norm.gain, norm.bias})) {
        auto node = std::make_shared<DeviceAddNormBackward>();
        node->kernels = kernels_;
        node->dropout = row_dropout;
        node->gain = norm.gain.detach();
        forward.output.reset();  // it would keep the node, and the node it
        node->forward = std::move(forward);
        record(node, output, values, bias, residual, norm.gain, norm.bias);
    }
    return output;
}

Tensor DeviceOperations::bias_gelu(const Tensor& values, const Tensor& bias) const {
    Tensor output;
    {
        const at::NoGradGuard no_gradients;
        output = kernels_->bias_gelu(values.contiguous(), bias);
    }
    if (wants_gradient({values, bias})) {
        auto node = std::make_shared<DeviceBiasGeluBackward>();
        node->kernels = kernels_;
        node->values = values.detach();
        node->bias = bias.detach();
        record(node, output, values, bias);
    }
    return output;
}

Tensor DeviceOperations::dropout(const BatchTensors& batch, Rows rows, const Tensor& x,
                                 const Dropout& dropout) const {
    if (!dropout.enabled()) {
        return x;
    }
    Tensor kept;
    Tensor output;
    {
        const at::NoGradGuard no_gradients;
        kept = kernels_->keep(row_dropout(batch, rows, dropout), x.size(1));
        output = at::native_dropout_backward(x, kept, dropout.scale);  // x * kept * scale
    }
    if (wants_gradient({x})) {
        auto node = std::make_shared<DeviceDropoutBackward>();
        node->kept = kept;
        node->scale = dropout.scale;
        record(node, output, x);
    }
    return output;
}

Tensor DeviceOperations::first_rows(const BatchTensors& batch, const Tensor& x) const {
    return x.index_select(0, batch.text_begin.narrow(0, 0, batch.shape.texts));
}

Tensor DeviceOperations::mean_rows(const BatchTensors& batch, const Tensor& x) const {
    return reduce_ranges(x, batch.text_begin, "mean");
}

Tensor DeviceOperations::pool_texts(const BatchTensors& batch, const Tensor& x, WindowPooling pooling) const {
    if (batch.shape.examples == batch.shape.texts) {
        return x;
    }
    return reduce_ranges(x, batch.example_begin, pooling == WindowPooling::mean ? "mean" : "max");
}

}  // namespace orchestrate
