// Tells an observer about once a second how far a training is. Free of torch.
#pragma once

#include <chrono>
#include <cstdint>

#include "worker/training/loop/training_plan.h"
#include "worker/training_api.h"

namespace orchestrate {

class ProgressReport {
  public:
    // `observer` must outlive it; it is called if `speaks`. `tokens_per_step`: on average, over all ranks.
    ProgressReport(AttemptObserver& observer, bool speaks, const TrainingPlan& plan, double tokens_per_step);

    // After each step (counted from 1) with its mean loss. The last one of an epoch is always told.
    void after_step(std::int64_t epoch, std::int64_t step, double loss, bool epoch_done);

    // Before the first step of an attempt that goes on from a checkpoint.
    void at_step(std::int64_t epoch, std::int64_t step);

    // What has passed since the last report is not counted as training.
    void begin_interval();

  private:
    AttemptObserver& observer_;
    bool speaks_;
    std::int64_t epochs_;
    std::int64_t steps_;
    double tokens_per_step_;

    std::chrono::steady_clock::time_point interval_start_;
    double interval_loss_ = 0;  // sum over its steps
    std::int64_t interval_steps_ = 0;
};

}  // namespace orchestrate
