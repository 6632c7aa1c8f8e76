#include "worker/training/loop/optimizer.h"

#include <optional>

#include <ATen/ATen.h>

namespace orchestrate {

AdamOptimizer::AdamOptimizer(Parameters& parameters, const TrainConfig& config)
    : parameters_(parameters), config_(config) {
    const std::int64_t decayed = parameters.decayed_elements();
    const auto add_group = [&](std::int64_t begin, std::int64_t end, double decay) {
        const at::Tensor values = parameters.values().narrow(0, begin, end - begin);
        groups_.push_back({{values},
                           {parameters.gradients().narrow(0, begin, end - begin)},
                           {at::zeros_like(values)},
                           {at::zeros_like(values)},
                           {at::zeros({}, values.options())},
                           decay});
    };
    add_group(0, decayed, config.weight_decay);
    add_group(decayed, parameters.values().numel(),
              config.decay_biases_and_norms ? config.weight_decay : 0.0);
}

std::vector<NamedTensor> AdamOptimizer::state() const {
    std::vector<NamedTensor> tensors;
    for (std::size_t i = 0; i < groups_.size(); ++i) {
        const std::string prefix = "optimizer." + std::to_string(i) + ".";
        tensors.push_back({prefix + "mean", groups_[i].mean[0]});
        tensors.push_back({prefix + "square", groups_[i].square[0]});
        tensors.push_back({prefix + "steps", groups_[i].steps[0]});
    }
    return tensors;
}

template <class LearningRate, class Update>
at::Tensor AdamOptimizer::step_with(const LearningRate& learning_rate, Update adam, Update adamw) {
    const at::NoGradGuard no_gradients;
    const at::Tensor norm = parameters_.gradients().norm();
    std::optional<at::Tensor> divisor;
    if (config_.max_grad_norm > 0) {
        divisor = ((norm + 1e-6) / config_.max_grad_norm).clamp_min(1.0);
    }
    const auto update = config_.optimizer == Optimizer::adam ? adam : adamw;
    for (Group& group : groups_) {
        group.steps[0].add_(1);
        update(group.values, group.gradients, group.mean, group.square, {}, group.steps, learning_rate,
               config_.adam_beta1, config_.adam_beta2, group.decay, config_.adam_epsilon,
               /*amsgrad=*/false, /*maximize=*/false, divisor, /*found_inf=*/std::nullopt);
    }
    return norm;
}

at::Tensor AdamOptimizer::step(double learning_rate) {
    return step_with(learning_rate, &at::_ops::_fused_adam_::call, &at::_ops::_fused_adamw_::call);
}

at::Tensor AdamOptimizer::step(const at::Tensor& learning_rate) {
    return step_with(learning_rate, &at::_ops::_fused_adam__tensor_lr::call,
                     &at::_ops::_fused_adamw__tensor_lr::call);
}

}  // namespace orchestrate
