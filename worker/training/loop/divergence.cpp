#include "worker/training/loop/divergence.h"

#include <cmath>

#include "common/metrics/classification_metrics.h"

namespace orchestrate {

namespace {

// A run whose mean loss over this many steps is this many times that of guessing has exploded.
constexpr std::int64_t kWindowSteps = 20;
constexpr double kExplosionFactor = 10.0;

std::string describe(const std::string& what, double loss) {
    return what + " is " + (std::isnan(loss) ? "not a number" : "infinite");
}

}  // namespace

DivergenceWatch::DivergenceWatch(std::size_t classes, double learning_rate, std::int64_t steps)
    : guessing_(std::log(static_cast<double>(classes))), learning_rate_(learning_rate), steps_(steps) {}

std::optional<std::string> DivergenceWatch::after_step(std::int64_t step, double loss) {
    window_loss_ += loss;
    if (!std::isfinite(loss)) {
        return describe("the loss", loss) + place_and_remedy(step);
    }
    if (step % kWindowSteps != 0) {
        return std::nullopt;
    }
    const double mean = window_loss_ / kWindowSteps;
    window_loss_ = 0;
    if (mean > kExplosionFactor * guessing_) {
        return "the loss has exploded to " + std::to_string(mean) + " (guessing has " +
               std::to_string(guessing_) + ")" + place_and_remedy(step);
    }
    return std::nullopt;
}

std::optional<std::string> DivergenceWatch::after_evaluation(std::int64_t step, double loss) const {
    if (std::isfinite(loss)) {
        return std::nullopt;
    }
    return describe("the loss of the evaluation", loss) + place_and_remedy(step);
}

bool has_learned_nothing(const FinalLosses& losses) {
    constexpr double kShare = 0.01;
    return std::abs(losses.test - losses.label_entropy) <= kShare * losses.label_entropy ||
           (is_no_better_than(losses.guessing, losses.train) &&
            is_no_better_than(losses.label_entropy, losses.test));
}

std::string DivergenceWatch::place_and_remedy(std::int64_t step) const {
    return " at step " + std::to_string(step) + " of " + std::to_string(steps_) +
           "; lower train.learning_rate (" + std::to_string(learning_rate_) + ")";
}

}  // namespace orchestrate
