#include "worker/training/model/model.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include <ATen/ATen.h>

#include "common/job/used_layers.h"

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

// Columns of units that are masked become 0: of the weights that read the units, which costs less than of the
// units themselves, or of the units. Their gradients become exactly 0 too.
at::Tensor without_masked(const at::Tensor& columns, const at::Tensor& kept) {
    return kept.defined() ? columns * kept : columns;
}

UnitOutput observed(const at::Tensor& values, Rows rows) {
    if (at::GradMode::is_enabled() && !values.requires_grad()) {
        values.requires_grad_();  // nothing below it is trained
    }
    return {rows, values};
}

}  // namespace

EncoderClassifier::EncoderClassifier(Parameters& parameters, Operations operations)
    : config_(parameters.dimensions().config), operations_(std::move(operations)) {
    operations_.round_weights_of(&parameters.rounded_weights());
    const auto linear = [&](const std::string& name) {
        return Linear{parameters.leaf(name + ".weight"), parameters.leaf(name + ".bias")};
    };
    const auto norm = [&](const std::string& name) {
        return NormTensors{parameters.leaf(name + ".weight"), parameters.leaf(name + ".bias"),
                           config_.layer_norm_eps};
    };
    const ParameterNames names = ParameterNames::of(config_.model_type);
    word_ = parameters.leaf(names.word_embeddings());
    type_ = parameters.leaf(names.type_embeddings());
    position_ = config_.position_embeddings == PositionEmbeddings::none
                    ? at::zeros({parameters.dimensions().positions, config_.hidden_size}, word_.options())
                    : parameters.leaf(names.position_embeddings());
    embedding_norm_ = norm(names.encoder + "embeddings.LayerNorm");
    for (const std::int64_t number : used_layers(config_)) {
        const std::string prefix = names.layer(number);
        Layer& layer = layers_.emplace_back();
        layer.number = number;
        layer.query_key_value = linear(prefix + "attention.self.query");
        layer.attention_output = linear(prefix + "attention.output.dense");
        layer.attention_norm = norm(prefix + "attention.output.LayerNorm");
        layer.intermediate = linear(prefix + "intermediate.dense");
        layer.output = linear(prefix + "output.dense");
        layer.output_norm = norm(prefix + "output.LayerNorm");
    }
    read_states_ = read_states(config_);
    if (config_.layer_fusion == LayerFusion::weighted) {
        layer_weights_ = parameters.leaf(names.layer_weights());
    }
    if (config_.head_width > 0) {
        hidden_ = linear(names.hidden);
    }
    projection_ = linear(names.output);
}

void EncoderClassifier::mask(const MaskedUnits& masked) {
    const auto kept = [&](const std::vector<char>& units, std::int64_t columns_per_unit) {
        if (std::find(units.begin(), units.end(), 1) == units.end()) {
            return at::Tensor();
        }
        std::vector<float> columns;
        for (const char unit : units) {
            columns.insert(columns.end(), static_cast<std::size_t>(columns_per_unit), unit ? 0.0F : 1.0F);
        }
        return at::tensor(at::ArrayRef<float>(columns)).to(operations_.device());
    };
    for (std::size_t i = 0; i < layers_.size(); ++i) {
        layers_[i].kept_head_columns =
            kept(masked.heads.at(i), config_.hidden_size / config_.num_attention_heads);
        layers_[i].kept_neurons = kept(masked.neurons.at(i), 1);
    }
    if (hidden_) {
        kept_units_ = kept(masked.classifier.at(0), 1);
    }
}

at::Tensor EncoderClassifier::logits(const BatchLayoutPtr& layout, std::optional<DropoutState> dropout,
                                     Inspection* inspection, UnitOutputs* unit_outputs) const {
    const Pass pass{layout, dropout, inspection, unit_outputs};
    std::vector<at::Tensor> states;  // that are read, one row per text
    auto next_read = read_states_.begin();
    at::Tensor x = operations_.embed(layout, word_, position_, type_, embedding_norm_,
                                     dropout_at(dropout, kEmbeddingSite, config_.hidden_dropout_prob));
    for (std::size_t state = 0;; ++state) {
        if (inspection != nullptr) {
            inspection->hidden_states.push_back(x);
        }
        const bool is_last = state == layers_.size();
        const bool has_first_rows_only = is_last && state > 0 && reads_first_rows_only(pass);
        if (static_cast<std::size_t>(*next_read) == state) {
            states.push_back(has_first_rows_only ? x : pool_tokens(pass, x));
            ++next_read;
        }
        if (is_last) {
            break;
        }
        const bool makes_last = state + 1 == layers_.size();
        x = encode_layer(pass, layers_[state], x, makes_last && reads_first_rows_only(pass));
    }
    for (at::Tensor& state : states) {
        state = state.to(at::kFloat);  // the head is small
    }
    return operations_.pool_texts(layout, head(pass, fuse(states)), config_.window_pooling);
}

bool EncoderClassifier::reads_first_rows_only(const Pass& pass) const {
    return config_.pooling == Pooling::cls && pass.inspection == nullptr;
}

at::Tensor EncoderClassifier::pool_tokens(const Pass& pass, const at::Tensor& x) const {
    return config_.pooling == Pooling::cls ? operations_.first_rows(pass.layout, x)
                                           : operations_.mean_rows(pass.layout, x);
}

at::Tensor EncoderClassifier::fuse(const std::vector<at::Tensor>& states) const {
    switch (config_.layer_fusion) {
        case LayerFusion::last:
            return states.front();
        case LayerFusion::concatenation:
            return at::cat(states, 1);
        case LayerFusion::mean:
            return at::stack(states).mean(0);
        case LayerFusion::weighted:
            return (layer_weights_.softmax(0).view({-1, 1, 1}) * at::stack(states)).sum(0);
    }
    throw std::logic_error("unknown layer fusion");
}

at::Tensor EncoderClassifier::encode_layer(const Pass& pass, const Layer& layer, const at::Tensor& x,
                                           bool first_token_only) const {
    const BatchLayoutPtr& layout = pass.layout;
    const auto site = kFirstLayerSite + 3 * static_cast<std::uint32_t>(layer.number);
    const Dropout attention_dropout = dropout_at(pass.dropout, site, config_.attention_probs_dropout_prob);
    const Dropout output_dropout = dropout_at(pass.dropout, site + 1, config_.hidden_dropout_prob);
    const Dropout inner_dropout = dropout_at(pass.dropout, site + 2, config_.hidden_dropout_prob);
    const std::int64_t hidden = config_.hidden_size;
    const std::int64_t heads = config_.num_attention_heads;
    const Rows rows = first_token_only ? Rows::texts : Rows::tokens;

    at::Tensor residual = x;
    at::Tensor mixed;
    const at::Tensor& weight = layer.query_key_value.weight;
    const at::Tensor& bias = layer.query_key_value.bias;
    if (first_token_only) {
        residual = operations_.first_rows(layout, x);
        const at::Tensor query = operations_.project(residual, weight, bias, {0, hidden});
        const at::Tensor key_value = operations_.project(x, weight, bias, {hidden, 3 * hidden});
        mixed = operations_.first_token_attention(layout, query, key_value, bias, heads, attention_dropout);
    } else {
        at::Tensor probabilities;
        mixed =
            operations_.attention(layout, operations_.project(x, weight, bias, {0, 3 * hidden}), bias, heads,
                                  attention_dropout, pass.inspection != nullptr ? &probabilities : nullptr);
        if (pass.inspection != nullptr) {
            pass.inspection->attentions.push_back(probabilities);
        }
    }
    if (pass.unit_outputs != nullptr) {
        pass.unit_outputs->heads.push_back(observed(mixed, rows));
    }
    const at::Tensor attended = operations_.project_add_norm(
        layout, rows, mixed, without_masked(layer.attention_output.weight, layer.kept_head_columns),
        layer.attention_output.bias, residual, layer.attention_norm, output_dropout);
    const at::Tensor inner =
        operations_.project_gelu(attended, layer.intermediate.weight, layer.intermediate.bias);
    if (pass.unit_outputs != nullptr) {
        pass.unit_outputs->neurons.push_back(observed(inner, rows));
    }
    return operations_.project_add_norm(layout, rows, inner,
                                        without_masked(layer.output.weight, layer.kept_neurons),
                                        layer.output.bias, attended, layer.output_norm, inner_dropout);
}

at::Tensor EncoderClassifier::head(const Pass& pass, const at::Tensor& x) const {
    const BatchLayoutPtr& layout = pass.layout;
    at::Tensor features = x;
    if (!hidden_ || config_.model_type == ModelType::roberta) {  // BERT's pooler reads what is not dropped
        features = operations_.dropout(layout, features,
                                       dropout_at(pass.dropout, kHeadInputSite, config_.classifier_dropout));
    }
    if (hidden_) {
        features = activate(at::addmm(hidden_->bias, features, hidden_->weight.t()));
        if (pass.unit_outputs != nullptr) {
            pass.unit_outputs->classifier.push_back(observed(features, Rows::texts));
        }
        features = without_masked(features, kept_units_);
        features = operations_.dropout(layout, features,
                                       dropout_at(pass.dropout, kHeadHiddenSite, config_.classifier_dropout));
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
