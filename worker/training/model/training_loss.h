// The loss that is trained on: cross-entropy with class weights w and label smoothing s, as
// torch.nn.CrossEntropyLoss(weight, label_smoothing) defines it. An example with the label y has
//     (1 - s) w[y] (-log p[y]) + s / classes * sum over the classes c of w[c] (-log p[c]),
// and a batch the sum over its examples divided by that of their w[y]. With equal weights this is also
// transformers' LabelSmoother.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

#include "common/job/job_config.h"
#include "worker/data/prepared_data.h"

namespace orchestrate {

class TrainingLoss {
  public:
    // Every class has a row in `train`.
    TrainingLoss(const TrainConfig& config, const PreparedPart& train, std::size_t classes,
                 at::Device device);

    // Sum over a batch, a scalar tensor. logits [texts, classes]; labels on the same device, of any whole-number type,
    // those of kIgnoredLabel do not count.
    at::Tensor sum(const at::Tensor& logits, const std::vector<std::int64_t>& labels) const;
    at::Tensor sum(const at::Tensor& logits, const at::Tensor& labels) const;

    // What the sum is divided by for the mean over these rows of the training part.
    double weight(std::span<const std::int64_t> rows) const;

    // The lowest mean over the training part that one prediction for all texts can reach; the entropy of its
    // labels if weights are equal and nothing is smoothed.
    double of_guessing() const { return of_guessing_; }
    double label_entropy() const { return label_entropy_; }  // of the training part

  private:
    const PreparedPart& train_;
    double smoothing_;
    std::vector<double> class_weight_;
    at::Tensor weight_tensor_;  // undefined: all 1
    double of_guessing_ = 0;
    double label_entropy_ = 0;
};

// Sum of the cross-entropies of a batch.
at::Tensor summed_cross_entropy(const at::Tensor& logits, const std::vector<std::int64_t>& labels,
                                const at::Tensor& class_weights = {}, double label_smoothing = 0);
at::Tensor summed_cross_entropy(const at::Tensor& logits, const at::Tensor& labels,
                                const at::Tensor& class_weights, double label_smoothing);

}  // namespace orchestrate
