#include "worker/training/model/parameters.h"

#include <cmath>
#include <stdexcept>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "common/job/used_layers.h"
#include "worker/training/kernels/keyed_random.h"

namespace orchestrate {

namespace {

using Parts = std::vector<Parameter>;

Parameter weight(std::string name, std::vector<std::int64_t> shape) {
    return {std::move(name), std::move(shape), 0, true, InitialValues::normal};
}

Parameter bias(std::string name, std::int64_t size) {
    return {std::move(name), {size}, 0, false, InitialValues::zeros};
}

Parameter gain(std::string name, std::int64_t size) {
    return {std::move(name), {size}, 0, false, InitialValues::ones};
}

// All leaves in the order of the forward pass.
std::vector<Parts> model_leaves(const ModelDimensions& dimensions) {
    const ModelConfig& config = dimensions.config;
    const ParameterNames names = ParameterNames::of(config.model_type);
    const std::int64_t hidden = config.hidden_size;
    const std::int64_t inner = config.intermediate_size;
    std::vector<Parts> leaves;
    const auto freeze_from = [&](std::size_t first) {
        for (; first < leaves.size(); ++first) {
            for (Parameter& part : leaves[first]) {
                part.trained = false;
            }
        }
    };
    const auto add_linear = [&](const std::string& name, std::int64_t outputs, std::int64_t inputs) {
        leaves.push_back({weight(name + ".weight", {outputs, inputs})});
        leaves.push_back({bias(name + ".bias", outputs)});
    };
    const auto add_norm = [&](const std::string& name) {
        leaves.push_back({gain(name + ".weight", hidden)});
        leaves.push_back({bias(name + ".bias", hidden)});
    };
    const auto words = static_cast<std::int64_t>(dimensions.vocabulary_rows.size());
    leaves.push_back({weight(names.word_embeddings(), {words, hidden})});
    if (config.position_embeddings != PositionEmbeddings::none) {
        leaves.push_back({weight(names.position_embeddings(), {dimensions.positions, hidden})});
        leaves.back().front().trained = config.position_embeddings != PositionEmbeddings::frozen;
    }
    leaves.push_back({weight(names.type_embeddings(), {dimensions.token_types, hidden})});
    add_norm(names.encoder + "embeddings.LayerNorm");
    if (dimensions.frozen_embeddings) {
        freeze_from(0);
    }
    std::int64_t layers = 0;
    for (const std::int64_t layer : used_layers(config)) {
        const std::size_t first = leaves.size();
        const std::string prefix = names.layer(layer);
        const std::string attention = prefix + "attention.self.";
        leaves.push_back({weight(attention + "query.weight", {hidden, hidden}),
                          weight(attention + "key.weight", {hidden, hidden}),
                          weight(attention + "value.weight", {hidden, hidden})});
        leaves.push_back({bias(attention + "query.bias", hidden), bias(attention + "key.bias", hidden),
                          bias(attention + "value.bias", hidden)});
        add_linear(prefix + "attention.output.dense", hidden, hidden);
        add_norm(prefix + "attention.output.LayerNorm");
        add_linear(prefix + "intermediate.dense", inner, hidden);
        add_linear(prefix + "output.dense", hidden, inner);
        add_norm(prefix + "output.LayerNorm");
        if (dimensions.frozen_layers == kAllLayers || layers < dimensions.frozen_layers) {
            freeze_from(first);
        }
        ++layers;
    }
    const auto states = static_cast<std::int64_t>(read_states(config).size());
    if (config.layer_fusion == LayerFusion::weighted) {
        leaves.push_back({bias(names.layer_weights(), states)});
    }
    const std::int64_t features =
        config.layer_fusion == LayerFusion::concatenation ? states * hidden : hidden;
    if (config.head_width > 0) {
        add_linear(names.hidden, config.head_width, features);
    }
    add_linear(names.output, dimensions.classes, config.head_width > 0 ? config.head_width : features);
    return leaves;
}

std::uint64_t hash_of(const std::string& name) {
    std::uint64_t hash = 0;
    for (const char letter : name) {
        hash = mix(hash, static_cast<unsigned char>(letter));
    }
    return hash;
}

// As Kernels::normal, by all threads.
void fill_normal(std::uint64_t key, std::int64_t first, std::int64_t count, double deviation, float* out) {
    constexpr std::int64_t kElementsPerTask = 1 << 15;
    at::parallel_for(0, count, kElementsPerTask, [&](std::int64_t begin, std::int64_t end) {
        best_kernels().normal(key, first + begin, end - begin, deviation, out + begin);
    });
}

}  // namespace

std::int64_t default_token_types(ModelType type) {
    return type == ModelType::roberta ? 1 : 2;
}

std::int64_t Parameter::elements() const {
    std::int64_t count = 1;
    for (const std::int64_t extent : shape) {
        count *= extent;
    }
    return count;
}

Parameters::Parameters(const ModelDimensions& dimensions, at::Device device) : dimensions_(dimensions) {
    std::int64_t offset = 0;
    auto groups = model_leaves(dimensions);
    const auto lay_out = [&](const auto& belongs) {
        for (auto& parts : groups) {
            if (belongs(parts.front())) {
                for (auto& part : parts) {
                    part.offset = offset;
                    offset += part.elements();
                }
            }
        }
        return offset;
    };
    decayed_elements_ = lay_out([](const Parameter& part) { return part.trained && part.decay; });
    const std::int64_t trained = lay_out([](const Parameter& part) { return part.trained && !part.decay; });
    lay_out([](const Parameter& part) { return !part.trained; });
    all_values_ = at::zeros({offset}, at::TensorOptions(at::kFloat).device(device));
    values_ = all_values_.narrow(0, 0, trained);
    rounded_weights_ = Bf16Weights(all_values_);
    gradients_and_statistics_ = at::zeros({trained + kStepStatistics}, values_.options());
    gradients_ = gradients_and_statistics_.narrow(0, 0, trained);
    for (const auto& parts : groups) {
        add_leaf(parts);
    }
}

void Parameters::add_leaf(const Parts& parts) {
    Leaf leaf;
    leaf.offset = parts.front().offset;
    std::vector<std::int64_t> shape = parts.front().shape;
    shape[0] = 0;
    for (const Parameter& part : parts) {
        shape[0] += part.shape[0];
        leaf.elements += part.elements();
        list_.push_back(part);
    }
    leaf.value = all_values_.narrow(0, leaf.offset, leaf.elements).view(shape).detach();
    if (parts.front().trained) {
        leaf.value.set_requires_grad(true);
        leaf.value.mutable_grad() = gradients_.narrow(0, leaf.offset, leaf.elements).view(shape);
    }
    leaves_.push_back(std::move(leaf));
}

void Parameters::initialize(std::uint64_t seed, const std::function<bool(const Parameter&)>& wanted) {
    const at::NoGradGuard no_gradients;
    all_values_.zero_();
    const at::Tensor host = all_values_.is_cpu() ? all_values_ : at::zeros(all_values_.sizes(), at::kFloat);
    auto* const flat = host.data_ptr<float>();
    const std::int64_t hidden = dimensions_.config.hidden_size;
    const double deviation = dimensions_.config.initializer_range;
    const ParameterNames names = ParameterNames::of(dimensions_.config.model_type);
    for (const Parameter& parameter : list_) {
        if (wanted && !wanted(parameter)) {
            continue;
        }
        float* const out = flat + parameter.offset;
        if (parameter.initial_values == InitialValues::ones) {
            std::fill(out, out + parameter.elements(), 1.0F);
        } else if (parameter.initial_values == InitialValues::normal) {
            const std::uint64_t key = mix(seed, hash_of(parameter.name));
            if (parameter.name == names.word_embeddings()) {
                constexpr std::int64_t kRowsPerTask = 256;
                const auto rows = static_cast<std::int64_t>(dimensions_.vocabulary_rows.size());
                at::parallel_for(0, rows, kRowsPerTask, [&](std::int64_t begin, std::int64_t end) {
                    for (std::int64_t row = begin; row < end; ++row) {
                        const std::int64_t id = dimensions_.vocabulary_rows[static_cast<std::size_t>(row)];
                        if (id != dimensions_.pad_token) {
                            fill_normal(key, id * hidden, hidden, deviation, out + row * hidden);
                        }
                    }
                });
            } else if (parameter.name == names.position_embeddings()) {
                fill_normal(key, dimensions_.first_position() * hidden, dimensions_.positions * hidden,
                            deviation, out);
            } else {
                fill_normal(key, 0, parameter.elements(), deviation, out);
            }
        }
    }
    if (!all_values_.is_cpu()) {
        all_values_.copy_(host);
    }
}

at::Tensor Parameters::value(const Parameter& parameter) const {
    return all_values_.narrow(0, parameter.offset, parameter.elements()).view(parameter.shape);
}

at::Tensor Parameters::gradient(const Parameter& parameter) const {
    return gradients_.narrow(0, parameter.offset, parameter.elements()).view(parameter.shape);
}

const Parameter* Parameters::find(const std::string& name) const {
    for (const Parameter& parameter : list_) {
        if (parameter.name == name) {
            return &parameter;
        }
    }
    return nullptr;
}

bool Parameters::has(const std::string& name) const {
    return find(name) != nullptr;
}

const at::Tensor& Parameters::leaf(const std::string& name) const {
    if (const Parameter* const parameter = find(name)) {
        for (const Leaf& leaf : leaves_) {
            if (leaf.offset == parameter->offset) {
                return leaf.value;
            }
        }
    }
    throw std::logic_error("the model has no parameter '" + name + "'");
}

std::int64_t Parameters::full_model_elements() const {
    const std::int64_t hidden = dimensions_.config.hidden_size;
    const ParameterNames names = ParameterNames::of(dimensions_.config.model_type);
    const auto unused_elements = [&](const std::string& name, std::int64_t all_rows) {
        const Parameter* const table = find(name);
        return table != nullptr && table->trained ? (all_rows - table->shape[0]) * hidden : 0;
    };
    return values_.numel() + unused_elements(names.word_embeddings(), dimensions_.vocabulary_size) +
           unused_elements(names.position_embeddings(), dimensions_.config.max_position_embeddings);
}

}  // namespace orchestrate
