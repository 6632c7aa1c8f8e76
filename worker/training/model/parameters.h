// All parameters of a model in one flat tensor, their gradients in another: AdamW is one call, clipping one
// norm, and a bucket of gradients a slice. Parameters have the names of Hugging Face's
// RobertaForSequenceClassification and BertForSequenceClassification.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "common/job/job_config.h"
#include "common/job/positions.h"
#include "worker/training/batches/batches.h"
#include "worker/training/model/parameter_names.h"
#include "worker/training/operations/rounded_weights.h"

namespace orchestrate {

// The token types that a new model of a type has.
std::int64_t default_token_types(ModelType type);

// What decides the parameters of a model besides its configuration.
struct ModelDimensions {
    ModelConfig config;
    std::int64_t classes = 0;
    std::int64_t vocabulary_size = 0;           // of the tokenizer
    std::vector<std::int64_t> vocabulary_rows;  // rows of the word embeddings that are trained; ascending
    std::int64_t pad_token = 1;
    std::int64_t positions =
        0;  // longest text: rows of the position embeddings that are trained, from first_position() on
    std::int64_t token_types = 1;
    bool frozen_embeddings = false;
    std::int64_t frozen_layers = 0;  // so many of the layers from the lowest; kAllLayers: all

    std::int64_t first_position() const { return orchestrate::first_position(config.model_type, pad_token); }
};

// Which kind of initial values a parameter has.
enum class InitialValues { normal, zeros, ones };

// One parameter of Hugging Face's model.
struct Parameter {
    std::string name;
    std::vector<std::int64_t> shape;
    std::int64_t offset = 0;  // in the flat tensors
    bool decay = false;
    InitialValues initial_values = InitialValues::normal;
    bool trained = true;  // false: its values stay; it has no gradient, decay or optimiser state

    std::int64_t elements() const;
};

// A tensor that the model computes with: one parameter, or several side by side (query, key, value).
struct Leaf {
    at::Tensor value;  // a view of the flat values; requires gradients if it is trained
    std::int64_t offset = 0;
    std::int64_t elements = 0;
};

class Parameters {
  public:
    // Zeros, laid out: parameters with decay first, others after them, then those that are not trained; in each
    // part in the order of the forward pass.
    Parameters(const ModelDimensions& dimensions, at::Device device);

    // Initial values as Hugging Face's: normal with standard deviation initializer_range, biases 0, norm
    // gains 1, pad rows 0. An element's value depends on seed, its parameter's name and its place in the full
    // parameter. Those that are not `wanted` stay zeros, and cost nothing; empty: all are.
    void initialize(std::uint64_t seed, const std::function<bool(const Parameter&)>& wanted = {});

    // Of the parameters that are trained.
    at::Tensor& values() { return values_; }
    at::Tensor& gradients() { return gradients_; }
    // The gradients and, behind them, kStepStatistics numbers that are summed over the ranks with them.
    at::Tensor& gradients_and_statistics() { return gradients_and_statistics_; }
    static constexpr std::int64_t kStepStatistics = 4;
    std::int64_t decayed_elements() const { return decayed_elements_; }

    const std::vector<Parameter>& list() const { return list_; }
    const std::vector<Leaf>& leaves() const { return leaves_; }

    // Views of one parameter's (compact) values and gradients; the latter only if it is trained.
    at::Tensor value(const Parameter& parameter) const;
    at::Tensor gradient(const Parameter& parameter) const;

    // The leaf that starts with the parameter of that name.
    const at::Tensor& leaf(const std::string& name) const;
    bool has(const std::string& name) const;

    // bf16 twins of all values.
    Bf16Weights& rounded_weights() { return rounded_weights_; }

    // Trained parameters of the whole model, rows that no text uses included.
    std::int64_t full_model_elements() const;

    const ModelDimensions& dimensions() const { return dimensions_; }

  private:
    void add_leaf(const std::vector<Parameter>& parts);
    const Parameter* find(const std::string& name) const;

    ModelDimensions dimensions_;
    std::vector<Parameter> list_;
    std::vector<Leaf> leaves_;
    std::int64_t decayed_elements_ = 0;
    at::Tensor all_values_;
    at::Tensor values_;  // a view of it
    at::Tensor gradients_and_statistics_;
    at::Tensor gradients_;  // a view of it
    Bf16Weights rounded_weights_{at::Tensor()};
};

}  // namespace orchestrate
