#include "worker/training/loop/training_plan.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace orchestrate {

TrainingPlan::TrainingPlan(const TrainConfig& config, std::int64_t train_rows)
    : rows(train_rows),
      batch_size(config.batch_size),
      epochs(config.epochs),
      steps_per_epoch((rows + batch_size - 1) / batch_size),
      steps(steps_per_epoch * epochs) {}

std::span<const std::int64_t> TrainingPlan::batch(std::span<const std::int64_t> order,
                                                  std::int64_t step_of_epoch) const {
    const std::int64_t begin = step_of_epoch * batch_size;
    const std::int64_t end = std::min(rows, begin + batch_size);
    return order.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
}

double learning_rate_at(const TrainConfig& config, std::int64_t step, std::int64_t steps) {
    const auto warmup =
        static_cast<std::int64_t>(std::ceil(config.warmup_ratio * static_cast<double>(steps)));
    if (step < warmup) {
        return config.learning_rate * static_cast<double>(step) /
               static_cast<double>(std::max<std::int64_t>(1, warmup));
    }
    const double after = static_cast<double>(std::max<std::int64_t>(1, steps - warmup));
    switch (config.learning_rate_schedule) {
        case LearningRateSchedule::constant:
            break;
        case LearningRateSchedule::linear:
            return config.learning_rate * std::max(0.0, static_cast<double>(steps - step) / after);
        case LearningRateSchedule::cosine: {
            const double progress = static_cast<double>(step - warmup) / after;
            return config.learning_rate * std::max(0.0, 0.5 * (1.0 + std::cos(std::numbers::pi * progress)));
        }
    }
    return config.learning_rate;
}

}  // namespace orchestrate
