// Which epoch's weights a training keeps, and whether it stops because none has become better. Free of torch.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "common/job/attempt.h"
#include "common/job/job_config.h"

namespace orchestrate {

class BestEpoch {
  public:
    struct Decision {
        bool keep = false;  // the weights of this epoch instead of those kept so far
        bool stop = false;  // early_stopping_patience epochs without a better one
    };

    // Without validation rows the last epoch is kept, and training is never stopped.
    BestEpoch(const TrainConfig& config, bool has_validation);

    // After each epoch (1-based) with its validation metrics. Better means by epoch_selection, and with
    // EpochSelection::last, which compares nothing, a lower validation loss.
    Decision after_epoch(std::int64_t epoch, const std::vector<MetricValue>& validation);

    std::int64_t kept_epoch() const { return kept_epoch_; }  // 0: none yet
    const std::vector<MetricValue>& kept_validation() const { return kept_validation_; }

  private:
    std::optional<TrainingMetric> selection_;  // nothing: the last epoch is kept
    std::int64_t patience_;
    std::int64_t kept_epoch_ = 0;
    std::vector<MetricValue> kept_validation_;
    std::int64_t best_epoch_ = 0;
    double best_value_ = 0;  // of the metric that epochs are compared by
};

}  // namespace orchestrate
