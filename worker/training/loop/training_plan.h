// How many steps a training has, which examples each one takes and at which learning rate. Free of torch.
#pragma once

#include <cstdint>
#include <span>

#include "common/job/job_config.h"

namespace orchestrate {

struct TrainingPlan {
    TrainingPlan(const TrainConfig& config, std::int64_t train_rows);

    std::int64_t rows = 0;  // examples of an epoch
    std::int64_t batch_size = 0;
    std::int64_t epochs = 0;
    std::int64_t steps_per_epoch = 0;
    std::int64_t steps = 0;

    // The global batch of a step of an epoch (0-based), out of the epoch's order; the last one may be smaller.
    std::span<const std::int64_t> batch(std::span<const std::int64_t> order,
                                        std::int64_t step_of_epoch) const;
};

// The learning rate of an optimiser step (0-based) of `steps`, as transformers' get_*_schedule_with_warmup:
// linear warm-up over ceil(warmup_ratio * steps) steps, then constant, linear to 0, or half a cosine to 0.
double learning_rate_at(const TrainConfig& config, std::int64_t step, std::int64_t steps);

}  // namespace orchestrate
