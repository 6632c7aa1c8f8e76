#include "worker/training/model/training_loss.h"

#include <cmath>

#include <ATen/ATen.h>

#include "worker/training/operations/batch_tensors.h"

namespace orchestrate {

namespace {

std::vector<double> rows_of_classes(const PreparedPart& part, std::size_t classes) {
    std::vector<double> rows(classes, 0);
    for (const std::int32_t label : part.label) {
        ++rows[static_cast<std::size_t>(label)];
    }
    return rows;
}

// Of predicting the same distribution for all texts, at its best: cross-entropy is lowest where the prediction
// is proportional to how much each class is asked for.
double loss_of_guessing(const std::vector<double>& rows, const std::vector<double>& weight,
                        double smoothing) {
    const auto classes = static_cast<double>(rows.size());
    double all_rows = 0;
    double all_weight = 0;
    for (std::size_t c = 0; c < rows.size(); ++c) {
        all_rows += rows[c];
        all_weight += rows[c] * weight[c];
    }
    std::vector<double> asked;
    double total = 0;
    for (std::size_t c = 0; c < rows.size(); ++c) {
        asked.push_back(weight[c] * ((1 - smoothing) * rows[c] + smoothing / classes * all_rows) /
                        all_weight);
        total += asked.back();
    }
    double loss = 0;
    for (const double share : asked) {
        loss -= share > 0 ? share * std::log(share / total) : 0;
    }
    return loss;
}

}  // namespace

TrainingLoss::TrainingLoss(const TrainConfig& config, const PreparedPart& train, std::size_t classes,
                           at::Device device)
    : train_(train), smoothing_(config.label_smoothing), class_weight_(classes, 1.0) {
    const std::vector<double> rows = rows_of_classes(train, classes);
    if (config.class_weights == ClassWeighting::balanced) {
        for (std::size_t c = 0; c < classes; ++c) {
            class_weight_[c] = static_cast<double>(train.rows()) / (static_cast<double>(classes) * rows[c]);
        }
        weight_tensor_ = at::tensor(at::ArrayRef<double>(class_weight_), at::kFloat).to(device);
    }
    of_guessing_ = loss_of_guessing(rows, class_weight_, smoothing_);
    label_entropy_ = loss_of_guessing(rows, std::vector<double>(classes, 1.0), 0);
}

at::Tensor TrainingLoss::sum(const at::Tensor& logits, const std::vector<std::int64_t>& labels) const {
    return summed_cross_entropy(logits, labels, weight_tensor_, smoothing_);
}

at::Tensor TrainingLoss::sum(const at::Tensor& logits, const at::Tensor& labels) const {
    return summed_cross_entropy(logits, labels, weight_tensor_, smoothing_);
}

double TrainingLoss::weight(std::span<const std::int64_t> rows) const {
    double total = 0;
    for (const std::int64_t row : rows) {
        total += class_weight_[static_cast<std::size_t>(train_.label[static_cast<std::size_t>(row)])];
    }
    return total;
}

at::Tensor summed_cross_entropy(const at::Tensor& logits, const std::vector<std::int64_t>& labels,
                                const at::Tensor& class_weights, double label_smoothing) {
    const at::Tensor target = at::tensor(at::ArrayRef<std::int64_t>(labels), at::kLong).to(logits.device());
    return summed_cross_entropy(logits, target, class_weights, label_smoothing);
}

at::Tensor summed_cross_entropy(const at::Tensor& logits, const at::Tensor& labels,
                                const at::Tensor& class_weights, double label_smoothing) {
    const auto weights = class_weights.defined() ? std::optional(class_weights) : std::nullopt;
    return at::cross_entropy_loss(logits, labels.to(at::kLong), weights, at::Reduction::Sum, kIgnoredLabel,
                                  label_smoothing);
}

}  // namespace orchestrate
