#include "worker/training/parameters.h"

#include <cmath>
#include <numbers>
#include <stdexcept>

#include <ATen/ATen.h>

#include "worker/training/keyed_random.h"

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
    leaves.push_back({weight(names.position_embeddings(), {dimensions.positions, hidden})});
    leaves.push_back({weight(names.type_embeddings(), {dimensions.token_types, hidden})});
    add_norm(names.encoder + "embeddings.LayerNorm");
    for (std::int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
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
    }
    if (config.head_width > 0) {
        add_linear(names.hidden, config.head_width, hidden);
    }
    add_linear(names.output, dimensions.classes, config.head_width > 0 ? config.head_width : hidden);
    return leaves;
}

std::uint64_t hash_of(const std::string& name) {
    std::uint64_t hash = 0;
    for (const char letter : name) {
        hash = mix(hash, static_cast<unsigned char>(letter));
    }
    return hash;
}

// Normal deviates of the elements [first, first + count) of a stream, by Box and Muller. first and count are
// even or the last one is alone.
void fill_normal(std::uint64_t key, std::int64_t first, std::int64_t count, double deviation, float* out) {
    const std::array<std::uint32_t, 2> words{static_cast<std::uint32_t>(key),
                                             static_cast<std::uint32_t>(key >> 32)};
    for (std::int64_t i = 0; i < count; ++i) {
        const auto pair = static_cast<std::uint64_t>(first + i) / 2;
        const auto random =
            philox({static_cast<std::uint32_t>(pair), static_cast<std::uint32_t>(pair >> 32), 0, 0}, words);
        const double uniform = (random[0] + 0.5) / 4294967296.0;
        const double angle = 2.0 * std::numbers::pi * (random[1] / 4294967296.0);
        const double radius = std::sqrt(-2.0 * std::log(uniform));
        const bool odd = (first + i) % 2 != 0;
        out[i] = static_cast<float>(deviation * radius * (odd ? std::sin(angle) : std::cos(angle)));
    }
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
    for (const bool decay : {true, false}) {
        for (auto& parts : groups) {
            if (parts.front().decay == decay) {
                for (auto& part : parts) {
                    part.offset = offset;
                    offset += part.elements();
                }
            }
        }
        if (decay) {
            decayed_elements_ = offset;
        }
    }
    values_ = at::zeros({offset}, at::TensorOptions(at::kFloat).device(device));
    gradients_and_statistics_ = at::zeros({offset + kStepStatistics}, values_.options());
    gradients_ = gradients_and_statistics_.narrow(0, 0, offset);
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
    leaf.value = values_.narrow(0, leaf.offset, leaf.elements).view(shape).detach();
    leaf.value.set_requires_grad(true);
    leaf.value.mutable_grad() = gradients_.narrow(0, leaf.offset, leaf.elements).view(shape);
    leaves_.push_back(std::move(leaf));
}

void Parameters::initialize(std::uint64_t seed) {
    const at::Tensor host = at::zeros(values_.sizes(), at::kFloat);
    auto* const flat = host.data_ptr<float>();
    const std::int64_t hidden = dimensions_.config.hidden_size;
    const double deviation = dimensions_.config.initializer_range;
    const ParameterNames names = ParameterNames::of(dimensions_.config.model_type);
    for (const Parameter& parameter : list_) {
        float* const out = flat + parameter.offset;
        if (parameter.initial_values == InitialValues::ones) {
            std::fill(out, out + parameter.elements(), 1.0F);
        } else if (parameter.initial_values == InitialValues::normal) {
            const std::uint64_t key = mix(seed, hash_of(parameter.name));
            if (parameter.name == names.word_embeddings()) {
                for (std::size_t row = 0; row < dimensions_.vocabulary_rows.size(); ++row) {
                    const std::int64_t id = dimensions_.vocabulary_rows[row];
                    if (id != dimensions_.pad_token) {
                        fill_normal(key, id * hidden, hidden, deviation,
                                    out + static_cast<std::int64_t>(row) * hidden);
                    }
                }
            } else if (parameter.name == names.position_embeddings()) {
                fill_normal(key, dimensions_.first_position() * hidden, dimensions_.positions * hidden,
                            deviation, out);
            } else {
                fill_normal(key, 0, parameter.elements(), deviation, out);
            }
        }
    }
    const at::NoGradGuard no_gradients;
    values_.copy_(host);
}

at::Tensor Parameters::value(const Parameter& parameter) const {
    return values_.narrow(0, parameter.offset, parameter.elements()).view(parameter.shape);
}

at::Tensor Parameters::gradient(const Parameter& parameter) const {
    return gradients_.narrow(0, parameter.offset, parameter.elements()).view(parameter.shape);
}

bool Parameters::has(const std::string& name) const {
    for (const Parameter& parameter : list_) {
        if (parameter.name == name) {
            return true;
        }
    }
    return false;
}

const at::Tensor& Parameters::leaf(const std::string& name) const {
    for (const Parameter& parameter : list_) {
        if (parameter.name == name) {
            for (const Leaf& leaf : leaves_) {
                if (leaf.offset == parameter.offset) {
                    return leaf.value;
                }
            }
        }
    }
    throw std::logic_error("the model has no parameter '" + name + "'");
}

std::int64_t Parameters::full_model_elements() const {
    const std::int64_t hidden = dimensions_.config.hidden_size;
    const auto trained_rows =
        static_cast<std::int64_t>(dimensions_.vocabulary_rows.size()) + dimensions_.positions;
    const std::int64_t all_rows = dimensions_.vocabulary_size + dimensions_.config.max_position_embeddings;
    return values_.numel() + (all_rows - trained_rows) * hidden;
}

}  // namespace orchestrate
