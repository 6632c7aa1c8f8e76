#include "worker/training/model.h"

#include <stdexcept>

#include <ATen/ATen.h>

namespace orchestrate {

namespace {

// Dropout sites; layer i has three from kFirstLayerSite + 3 i on.
constexpr std::uint32_t kEmbeddingSite = 0;
constexpr std::uint32_t kFirstLayerSite = 1;
constexpr std::uint32_t kHeadInputSite = 0x10000;
constexpr std::uint32_t kHeadHiddenSite = 0x10001;

Dropout dropout_at(const std::optional<DropoutState>& state, std::uint32_t site, double probability) {
    return state ? make_dropout(state->seed, state->step, site, probability) : Dropout{};
}

}  // namespace

EncoderClassifier::EncoderClassifier(Parameters& parameters, Operations operations)
    : config_(parameters.dimensions().config), operations_(operations) {
    const auto linear = [&](const std::string& name) {
        return Linear{parameters.leaf(name + ".weight"), parameters.leaf(name + ".bias")};
    };
    const auto norm = [&](const std::string& name) {
        return NormTensors{parameters.leaf(name + ".weight"), parameters.leaf(name + ".bias"),
                           config_.layer_norm_eps};
    };
    const ParameterNames names = ParameterNames::of(config_.model_type);
    word_ = parameters.leaf(names.word_embeddings());
    position_ = parameters.leaf(names.position_embeddings());
    type_ = parameters.leaf(names.type_embeddings());
    embedding_norm_ = norm(names.encoder + "embeddings.LayerNorm");
    for (std::int64_t i = 0; i < config_.num_hidden_layers; ++i) {
        const std::string prefix = names.layer(i);
        layers_.push_back({linear(prefix + "attention.self.query"), linear(prefix + "attention.output.dense"),
                           norm(prefix + "attention.output.LayerNorm"), linear(prefix + "intermediate.dense"),
                           linear(prefix + "output.dense"), norm(prefix + "output.LayerNorm")});
    }
    if (config_.head_width > 0) {
        hidden_ = linear(names.hidden);
    }
    projection_ = linear(names.output);
}

at::Tensor EncoderClassifier::logits(const BatchLayoutPtr& layout, std::optional<DropoutState> dropout,
                                     Inspection* inspection) const {
    at::Tensor x = operations_.embed(layout, word_, position_, type_, embedding_norm_,
                                     dropout_at(dropout, kEmbeddingSite, config_.hidden_dropout_prob));
    bool first_rows_only = false;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
        at::Tensor probabilities;
        if (inspection != nullptr) {
            inspection->hidden_states.push_back(x);
        }
        first_rows_only = inspection == nullptr && i + 1 == layers_.size();
        x = encode_layer(layout, i, x, first_rows_only, dropout,
                         inspection != nullptr ? &probabilities : nullptr);
        if (inspection != nullptr) {
            inspection->attentions.push_back(probabilities);
        }
    }
    if (inspection != nullptr) {
        inspection->hidden_states.push_back(x);
    }
    return head(layout, first_rows_only ? x : operations_.first_rows(layout, x), dropout);
}

at::Tensor EncoderClassifier::encode_layer(const BatchLayoutPtr& layout, std::size_t index,
                                           const at::Tensor& x, bool first_token_only,
                                           const std::optional<DropoutState>& dropout,
                                           at::Tensor* probabilities) const {
    const Layer& layer = layers_[index];
    const auto site = kFirstLayerSite + 3 * static_cast<std::uint32_t>(index);
    const Dropout attention_dropout = dropout_at(dropout, site, config_.attention_probs_dropout_prob);
    const Dropout output_dropout = dropout_at(dropout, site + 1, config_.hidden_dropout_prob);
    const Dropout inner_dropout = dropout_at(dropout, site + 2, config_.hidden_dropout_prob);
    const std::int64_t hidden = config_.hidden_size;
    const std::int64_t heads = config_.num_attention_heads;
    const Rows rows = first_token_only ? Rows::texts : Rows::tokens;

    at::Tensor residual = x;
    at::Tensor mixed;
    const at::Tensor& weight = layer.query_key_value.weight;
    if (first_token_only) {
        residual = operations_.first_rows(layout, x);
        const at::Tensor query = operations_.project(residual, weight, {0, hidden});
        const at::Tensor key_value = operations_.project(x, weight, {hidden, 3 * hidden});
        mixed = operations_.first_token_attention(layout, query, key_value, layer.query_key_value.bias, heads,
                                                  attention_dropout);
    } else {
        mixed = operations_.attention(layout, operations_.project(x, weight), layer.query_key_value.bias,
                                      heads, attention_dropout, probabilities);
    }
    const at::Tensor attended =
        operations_.add_norm(layout, rows, operations_.project(mixed, layer.attention_output.weight),
                             layer.attention_output.bias, residual, layer.attention_norm, output_dropout);
    const at::Tensor inner = operations_.bias_gelu(operations_.project(attended, layer.intermediate.weight),
                                                   layer.intermediate.bias);
    return operations_.add_norm(layout, rows, operations_.project(inner, layer.output.weight),
                                layer.output.bias, attended, layer.output_norm, inner_dropout);
}

at::Tensor EncoderClassifier::head(const BatchLayoutPtr& layout, const at::Tensor& x,
                                   const std::optional<DropoutState>& dropout) const {
    at::Tensor features = x;
    if (!hidden_ || config_.model_type == ModelType::roberta) {  // BERT's pooler reads what is not dropped
        features = operations_.dropout(layout, features,
                                       dropout_at(dropout, kHeadInputSite, config_.classifier_dropout));
    }
    if (hidden_) {
        features = activate(at::addmm(hidden_->bias, features, hidden_->weight.t()));
        features = operations_.dropout(layout, features,
                                       dropout_at(dropout, kHeadHiddenSite, config_.classifier_dropout));
    }
    return at::addmm(projection_.bias, features, projection_.weight.t());
}

at::Tensor EncoderClassifier::activate(const at::Tensor& x) const {
    switch (config_.head_activation) {
        case Activation::relu:
            return at::relu(x);
        case Activation::tanh:
            return at::tanh(x);
        case Activation::sigmoid:
            return at::sigmoid(x);
        case Activation::gelu:
            return at::gelu(x);
    }
    throw std::logic_error("unknown activation");
}

}  // namespace orchestrate
