// The fixtures' classifiers and their training in double precision, written from the published architectures over
// LibTorch's autograd alone: nothing of the program's model, kernels or optimiser is in it.
#pragma once

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include "common/job/job_config.h"

namespace orchestrate::golden {

using NamedTensors = std::map<std::string, at::Tensor>;

// One padded batch of [texts, length]; labels [texts].
struct Batch {
    at::Tensor ids;
    at::Tensor mask;
    at::Tensor types;
    at::Tensor labels;
};

class ReferenceClassifier {
  public:
    // `weights`: under Hugging Face's names; copied.
    ReferenceClassifier(const ModelConfig& config, std::int64_t pad_token, const NamedTensors& weights)
        : config_(config), pad_token_(pad_token) {
        for (const auto& [name, value] : weights) {
            weights_[name] = value.to(at::kDouble).clone().requires_grad_();
        }
    }

    const NamedTensors& weights() const { return weights_; }

    at::Tensor loss(const Batch& batch) const {
        const bool is_roberta = config_.model_type == ModelType::roberta;
        const std::string base = is_roberta ? "roberta." : "bert.";
        const std::int64_t texts = batch.ids.size(0);
        const std::int64_t length = batch.ids.size(1);
        const std::int64_t heads = config_.num_attention_heads;
        at::Tensor position = at::arange(length, at::kLong).expand({texts, length});
        if (is_roberta) {
            const at::Tensor present = batch.ids.ne(pad_token_).to(at::kLong);
            position = present.cumsum(1) * present + pad_token_;
        }
        const std::string embeddings = base + "embeddings.";
        at::Tensor x = at::embedding(weight(embeddings + "word_embeddings"), batch.ids) +
                       at::embedding(weight(embeddings + "position_embeddings"), position) +
                       at::embedding(weight(embeddings + "token_type_embeddings"), batch.types);
        x = normalized(x, embeddings + "LayerNorm");
        const at::Tensor hidden = at::zeros({texts, 1, 1, length}, at::kDouble)
                                      .masked_fill(batch.mask.eq(0).view({texts, 1, 1, length}),
                                                   -std::numeric_limits<double>::infinity());
        for (std::int64_t i = 0; i < config_.num_hidden_layers; ++i) {
            const std::string layer = base + "encoder.layer." + std::to_string(i) + ".";
            const auto split = [&](const std::string& name) {
                return linear(x, layer + "attention.self." + name)
                    .view({texts, length, heads, config_.hidden_size / heads})
                    .transpose(1, 2);
            };
            const double scale = 1 / std::sqrt(static_cast<double>(config_.hidden_size / heads));
            const at::Tensor attention =
                at::softmax(at::matmul(split("query"), split("key").transpose(-1, -2)) * scale + hidden, -1);
            const at::Tensor read = at::matmul(attention, split("value"))
                                        .transpose(1, 2)
                                        .reshape({texts, length, config_.hidden_size});
            x = normalized(linear(read, layer + "attention.output.dense") + x,
                           layer + "attention.output.LayerNorm");
            const at::Tensor wide = at::gelu(linear(x, layer + "intermediate.dense"));
            x = normalized(linear(wide, layer + "output.dense") + x, layer + "output.LayerNorm");
        }
        const at::Tensor first = x.select(1, 0);
        const at::Tensor pooled =
            at::tanh(linear(first, is_roberta ? "classifier.dense" : "bert.pooler.dense"));
        const at::Tensor logits = linear(pooled, is_roberta ? "classifier.out_proj" : "classifier");
        return at::cross_entropy_loss(logits, batch.labels);
    }

  private:
    const at::Tensor& weight(const std::string& name) const { return weights_.at(name + ".weight"); }
    at::Tensor linear(const at::Tensor& x, const std::string& name) const {
        return at::linear(x, weight(name), weights_.at(name + ".bias"));
    }
    at::Tensor normalized(const at::Tensor& x, const std::string& name) const {
        return at::layer_norm(x, {config_.hidden_size}, weight(name), weights_.at(name + ".bias"),
                              config_.layer_norm_eps);
    }

    const ModelConfig& config_;
    std::int64_t pad_token_;
    NamedTensors weights_;
};

struct ReferenceTraining {
    NamedTensors values;  // after the steps
    // The smallest square root of AdamW's second moment (bias-corrected) in any step with a learning rate, where there
    // is one: about how large an element's gradients were, after clipping.
    NamedTensors smallest_gradient;
};

// AdamW as the fixtures were trained with, a step for each batch with its learning rate.
inline ReferenceTraining train_reference(const ReferenceClassifier& model, const std::vector<Batch>& batches,
                                         const std::vector<double>& rates, const TrainConfig& config) {
    ReferenceTraining result;
    NamedTensors mean;
    NamedTensors square;
    for (const auto& [name, value] : model.weights()) {
        mean[name] = at::zeros_like(value);
        square[name] = at::zeros_like(value);
        result.smallest_gradient[name] = at::full_like(value, std::numeric_limits<double>::infinity());
    }
    for (std::size_t step = 0; step < batches.size(); ++step) {
        std::vector<at::Tensor> inputs;
        for (const auto& [name, value] : model.weights()) {
            inputs.push_back(value);
        }
        const auto gradients = torch::autograd::grad({model.loss(batches[step])}, inputs);
        const at::NoGradGuard no_gradients;
        double squares = 0;
        for (const auto& gradient : gradients) {
            squares += gradient.square().sum().item<double>();
        }
        const double factor = std::min(1.0, config.max_grad_norm / (std::sqrt(squares) + 1e-6));
        const auto done = static_cast<double>(step + 1);
        std::size_t at = 0;
        for (const auto& [name, parameter] : model.weights()) {
            at::Tensor value = parameter;
            const at::Tensor gradient = gradients[at++] * factor;
            mean[name].mul_(config.adam_beta1).add_(gradient, 1 - config.adam_beta1);
            square[name].mul_(config.adam_beta2).addcmul_(gradient, gradient, 1 - config.adam_beta2);
            const bool decays = name.find("LayerNorm") == std::string::npos && !name.ends_with(".bias");
            if (decays) {
                value.mul_(1 - rates[step] * config.weight_decay);
            }
            const at::Tensor size = (square[name] / (1 - std::pow(config.adam_beta2, done))).sqrt();
            const at::Tensor corrected = mean[name] / (1 - std::pow(config.adam_beta1, done));
            value.sub_(corrected / (size + config.adam_epsilon) * rates[step]);
            if (rates[step] > 0) {
                const at::Tensor present =
                    at::where(square[name] > 0, size, std::numeric_limits<double>::infinity());
                result.smallest_gradient[name] = at::minimum(result.smallest_gradient[name], present);
            }
        }
    }
    for (const auto& [name, value] : model.weights()) {
        result.values[name] = value.detach();
    }
    return result;
}

}  // namespace orchestrate::golden
