// The loss and the optimiser against their formulas, written out in double precision.
#include "worker/training/model/training_loss.h"

#include <cmath>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/worker/training/synthetic_data.h"
#include "worker/training/loop/optimizer.h"

namespace orchestrate::test {
namespace {

PreparedPart part_with_labels(const std::vector<std::int32_t>& labels) {
    PreparedPart part;
    part.label = labels;
    return part;
}

const std::vector<std::int32_t> kLabels{0, 0, 0, 0, 0, 1, 1, 2};
const std::vector<double> kBalanced{8 / 15.0, 8 / 6.0, 8 / 3.0};  // rows / (classes * rows of the class)

// The mean over all texts, of logits[text][class].
double expected_loss(const std::vector<std::vector<double>>& logits, const std::vector<std::int64_t>& labels,
                     const std::vector<double>& weight, double smoothing) {
    double loss = 0;
    double total = 0;
    for (std::size_t text = 0; text < labels.size(); ++text) {
        double sum = 0;
        for (const double logit : logits[text]) {
            sum += std::exp(logit);
        }
        const auto label = static_cast<std::size_t>(labels[text]);
        for (std::size_t c = 0; c < weight.size(); ++c) {
            const double surprise = std::log(sum) - logits[text][c];
            loss += weight[c] * surprise *
                    (smoothing / static_cast<double>(weight.size()) + (c == label ? 1 - smoothing : 0));
        }
        total += weight[label];
    }
    return loss / total;
}

TEST(TrainingLoss, IsTheWeightedAndSmoothedCrossEntropy) {
    const PreparedPart part = part_with_labels(kLabels);
    const std::vector<std::vector<double>> logits{{0.3, -1.2, 2.0}, {1.5, 0.1, -0.4}, {-2.0, 0.7, 0.2}};
    const std::vector<std::int64_t> rows{7, 0, 5};
    const std::vector<std::int64_t> labels{2, 0, 1};
    at::Tensor tensor = at::empty({3, 3});
    for (std::int64_t text = 0; text < 3; ++text) {
        for (std::int64_t c = 0; c < 3; ++c) {
            tensor[text][c] = logits[static_cast<std::size_t>(text)][static_cast<std::size_t>(c)];
        }
    }
    for (const auto weighting : {ClassWeighting::equal, ClassWeighting::balanced}) {
        for (const double smoothing : {0.0, 0.1, 0.7}) {
            TrainConfig config;
            config.class_weights = weighting;
            config.label_smoothing = smoothing;
            const TrainingLoss loss(config, part, 3, at::kCPU);
            const auto weight = weighting == ClassWeighting::equal ? std::vector<double>(3, 1.0) : kBalanced;
            EXPECT_NEAR(loss.sum(tensor, labels).item<double>() / loss.weight(rows),
                        expected_loss(logits, labels, weight, smoothing), 1e-6)
                << to_string(weighting) << " " << smoothing;
        }
    }
}

TEST(TrainingLoss, OfGuessingIsTheLowestThatOnePredictionForAllReaches) {
    const PreparedPart part = part_with_labels(kLabels);
    const std::vector<std::int64_t> labels(kLabels.begin(), kLabels.end());
    TrainConfig config;
    const double entropy = -(5 * std::log(5 / 8.0) + 2 * std::log(2 / 8.0) + std::log(1 / 8.0)) / 8;
    EXPECT_NEAR(TrainingLoss(config, part, 3, at::kCPU).of_guessing(), entropy, 1e-12);
    config.class_weights = ClassWeighting::balanced;
    EXPECT_NEAR(TrainingLoss(config, part, 3, at::kCPU).of_guessing(), std::log(3.0), 1e-12);
    config.label_smoothing = 0.3;
    const TrainingLoss loss(config, part, 3, at::kCPU);
    EXPECT_NEAR(loss.label_entropy(), entropy, 1e-12);
    double lowest = 1e9;
    for (double a = 0.01; a < 1; a += 0.01) {
        for (double b = 0.01; a + b < 0.995; b += 0.01) {
            const std::vector<double> prediction{std::log(a), std::log(b), std::log(1 - a - b)};
            lowest = std::min(lowest, expected_loss(std::vector(labels.size(), prediction), labels, kBalanced,
                                                    config.label_smoothing));
        }
    }
    EXPECT_LE(loss.of_guessing(), lowest);
    EXPECT_NEAR(loss.of_guessing(), lowest, 1e-3);
}

// Two steps of Adam on the parameters of a small model, element by element.
class OptimizerTest : public testing::TestWithParam<std::tuple<Optimizer, bool, double>> {};

TEST_P(OptimizerTest, StepsAreThoseOfTheFormulas) {
    const auto [kind, decay_all, max_norm] = GetParam();
    ModelDimensions dimensions;
    dimensions.config = synthetic_job().model;
    dimensions.classes = 3;
    dimensions.vocabulary_size = 5;
    dimensions.vocabulary_rows = {0, 1, 2, 3, 4};
    dimensions.positions = 4;
    Parameters parameters(dimensions, at::kCPU);
    parameters.initialize(1);
    TrainConfig config;
    config.optimizer = kind;
    config.decay_biases_and_norms = decay_all;
    config.max_grad_norm = max_norm;
    config.weight_decay = 0.1;
    AdamOptimizer optimizer(parameters, config);

    at::Tensor value = parameters.values().to(at::kDouble);
    at::Tensor mean = at::zeros_like(value);
    at::Tensor square = at::zeros_like(value);
    at::Tensor decay = at::full_like(value, config.weight_decay);
    if (!decay_all) {
        decay.narrow(0, parameters.decayed_elements(), decay.numel() - parameters.decayed_elements()).zero_();
    }
    for (int step = 1; step <= 3; ++step) {
        const double rate = 0.01 * step;
        parameters.gradients().copy_(
            at::sin(at::arange(value.numel(), at::kDouble) * 0.37 * step).mul(0.01 * step));
        at::Tensor gradient = parameters.gradients().to(at::kDouble);
        const double norm = gradient.norm().item<double>();
        if (max_norm > 0) {
            gradient = gradient * std::min(1.0, max_norm / (norm + 1e-6));
        }
        if (kind == Optimizer::adam) {
            gradient = gradient + decay * value;
        } else {
            value = value * (1 - rate * decay);
        }
        mean = config.adam_beta1 * mean + (1 - config.adam_beta1) * gradient;
        square = config.adam_beta2 * square + (1 - config.adam_beta2) * gradient * gradient;
        const at::Tensor corrected = (square / (1 - std::pow(config.adam_beta2, step))).sqrt();
        value =
            value - rate * mean / (1 - std::pow(config.adam_beta1, step)) / (corrected + config.adam_epsilon);
        EXPECT_NEAR(optimizer.step(rate).item<double>(), norm, 1e-5 * norm);
        EXPECT_LT((parameters.values() - value).abs().max().item<double>(), 2e-6) << "step " << step;
    }
}

INSTANTIATE_TEST_SUITE_P(All, OptimizerTest,
                         testing::Combine(testing::Values(Optimizer::adamw, Optimizer::adam), testing::Bool(),
                                          testing::Values(0.0, 0.05)));

}  // namespace
}  // namespace orchestrate::test
