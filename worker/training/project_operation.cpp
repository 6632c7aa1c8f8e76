// Operations::project: the products with the weights. The gradient of a weight is added straight to where it is
// collected, without a tensor of its own.
#include "worker/training/device_operations.h"
#include "worker/training/matrix_product.h"
#include "worker/training/operation_parts.h"

namespace orchestrate {

using namespace operation_parts;

namespace {

struct ProjectBackward : Node {
    Tensor x;
    Tensor weight;
    InputGradient weight_gradient;
    Precision precision = Precision::fp32;

    variable_list apply(variable_list&& upstream) override {
        const Tensor gradient = upstream[0].contiguous();
        variable_list gradients(2);
        if (task_should_compute_output(1)) {
            if (weight_gradient.is_collected()) {
                add_product_to(weight_gradient.sum(), {gradient, true}, {x, false}, precision);
            } else {
                gradients[1] = at::empty_like(weight);
                multiply_into(gradients[1], {gradient, true}, {x, false}, precision);
            }
        }
        if (task_should_compute_output(0)) {
            gradients[0] = at::empty_like(x);
            multiply_into(gradients[0], {gradient, false}, {weight, false}, precision);
        }
        return gradients;
    }
};

}  // namespace

Tensor Operations::project(const Tensor& x, const Tensor& weight) const {
    const RowRange all{0, weight.size(0)};
    return on_device_ ? on_device_->project(x, weight, {}, all) : project_by_kernels(x, weight, {}, all);
}

Tensor Operations::project_for_attention(const Tensor& x, const Tensor& weight, const Tensor& bias,
                                         RowRange outputs) const {
    return on_device_ ? on_device_->project(x, weight, bias, outputs)
                      : project_by_kernels(x, weight, bias, outputs);
}

Tensor Operations::project_by_kernels(const Tensor& x, const Tensor& weight, const Tensor& bias,
                                      RowRange outputs) const {
    const std::int64_t count = outputs.end - outputs.begin;
    const Tensor plain_x = x.detach().contiguous();
    const Tensor plain_weight = weight.detach().narrow(0, outputs.begin, count);
    const Tensor output = at::empty({x.size(0), count}, at::kFloat);
    multiply_into(output, {plain_x, false}, {plain_weight, true}, precision_,
                  bias.defined() ? bias.detach().narrow(0, outputs.begin, count) : Tensor());
    if (wants_gradient({x, weight})) {
        auto node = std::make_shared<ProjectBackward>();
        node->x = plain_x;
        node->weight = plain_weight;
        node->precision = precision_;
        node->weight_gradient = InputGradient(weight, outputs);
        if (node->weight_gradient.is_collected()) {
            record(node, output, x, weight);
        } else {
            record(node, output, x, weight.narrow(0, outputs.begin, count));
        }
    }
    return output;
}

}  // namespace orchestrate
