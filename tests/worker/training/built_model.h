// A model on synthetic data, for tests that look into it or put its values elsewhere.
#pragma once

#include <functional>
#include <numeric>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "tests/worker/training/synthetic_data.h"
#include "worker/training/model/model.h"
#include "worker/training/model/training_loss.h"

namespace orchestrate::test {

inline double distance(const at::Tensor& a, const at::Tensor& b) {
    return (a - b).abs().max().item<double>();
}

inline at::Tensor mean_of_each_text(const at::Tensor& state, const PackedBatch& batch) {
    std::vector<at::Tensor> means;
    for (std::int64_t text = 0; text < batch.texts(); ++text) {
        const auto at = static_cast<std::size_t>(text);
        means.push_back(
            state.narrow(0, batch.offsets[at], batch.offsets[at + 1] - batch.offsets[at]).mean(0));
    }
    return at::stack(means);
}

// A model with initial values of its own; biases too, so that a wrong one shows.
struct Built {
    explicit Built(const JobConfig& job, bool composite = false)
        : vocabulary(CompactVocabulary::of(data)),
          parameters(dimensions(job), at::kCPU),
          model(initialized(parameters), Operations(at::kCPU, composite)) {
        model.mask(masked_without_scores(job.model));
    }

    ModelDimensions dimensions(const JobConfig& job) const {
        ModelDimensions result;
        result.config = job.model;
        result.classes = kClasses;
        result.vocabulary_size = kVocabulary;
        result.vocabulary_rows = vocabulary.original_id;
        result.positions = data.report.longest_text_tokens;
        result.frozen_embeddings = job.train.frozen_embeddings;
        result.frozen_layers = job.train.frozen_layers;
        return result;
    }
    static Parameters& initialized(Parameters& parameters) {
        parameters.initialize(7);
        const at::NoGradGuard no_gradients;
        for (const Parameter& parameter : parameters.list()) {
            if (parameter.initial_values == InitialValues::zeros) {
                at::Tensor value = parameters.value(parameter);
                value.copy_(at::linspace(-0.2, 0.3, value.numel()));
            }
        }
        return parameters;
    }
    BatchLayoutPtr batch(std::int64_t rows = 6, const TextWindows& windows = {}) const {
        std::vector<std::int64_t> order(static_cast<std::size_t>(rows));
        std::iota(order.begin(), order.end(), 0);
        return std::make_shared<BatchLayout>(pack(data.train, order, 0, vocabulary, windows));
    }
    at::Tensor value(const std::string& name) { return parameters.value(parameter(name)); }
    at::Tensor gradient(const std::string& name) { return parameters.gradient(parameter(name)); }
    const Parameter& parameter(const std::string& name) {
        const auto& list = parameters.list();
        return *std::find_if(list.begin(), list.end(), [&](const Parameter& p) { return p.name == name; });
    }
    void backward(const BatchLayoutPtr& layout, std::optional<DropoutState> dropout = std::nullopt) {
        parameters.gradients().zero_();
        torch::autograd::backward({summed_cross_entropy(model.logits(layout, dropout), layout->batch.label)},
                                  {});
    }

    PreparedData data = synthetic_data(kTrainRows);
    CompactVocabulary vocabulary;
    Parameters parameters;
    EncoderClassifier model;
};

inline const std::string kLayer = "roberta.encoder.layer.";
inline constexpr DropoutState kDropout{11, 4};

// The kernels and LibTorch's operations.
class AblatedModel : public testing::TestWithParam<bool> {
  protected:
    void SetUp() override { at::set_num_threads(1); }
    Built build(const std::function<void(JobConfig&)>& change = nullptr) const {
        JobConfig job = synthetic_job();
        if (change) {
            change(job);
        }
        return Built(job, GetParam());
    }
};

}  // namespace orchestrate::test
