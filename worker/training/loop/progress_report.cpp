#include "worker/training/loop/progress_report.h"

#include <algorithm>

namespace orchestrate {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kInterval{1000};

}  // namespace

ProgressReport::ProgressReport(AttemptObserver& observer, bool speaks, const TrainingPlan& plan,
                               double tokens_per_step)
    : observer_(observer),
      speaks_(speaks),
      epochs_(plan.epochs),
      steps_(plan.steps),
      tokens_per_step_(tokens_per_step),
      interval_start_(Clock::now()) {}

void ProgressReport::after_step(std::int64_t epoch, std::int64_t step, double loss, bool epoch_done) {
    if (speaks_) {
        observer_.on_advance();
    }
    interval_loss_ += loss;
    ++interval_steps_;
    const auto passed = Clock::now() - interval_start_;
    if (!speaks_ || (passed < kInterval && !epoch_done)) {
        return;
    }
    const double seconds = std::max(1e-9, std::chrono::duration<double>(passed).count());
    TrainingProgress progress;
    progress.phase = epoch_done ? "evaluating" : "training";
    progress.epoch = epoch;
    progress.epochs = epochs_;
    progress.step = step;
    progress.steps = steps_;
    progress.loss = interval_loss_ / static_cast<double>(interval_steps_);
    progress.tokens_per_second = tokens_per_step_ * static_cast<double>(interval_steps_) / seconds;
    observer_.on_progress(progress);
    begin_interval();
}

void ProgressReport::at_step(std::int64_t epoch, std::int64_t step) {
    TrainingProgress progress;
    progress.phase = "training";
    progress.epoch = epoch;
    progress.epochs = epochs_;
    progress.step = step;
    progress.steps = steps_;
    observer_.on_progress(progress);
}

void ProgressReport::begin_interval() {
    interval_start_ = Clock::now();
    interval_loss_ = 0;
    interval_steps_ = 0;
}

}  // namespace orchestrate
