// Which epoch's weights a training keeps, and whether it stops because none has become better. Free of torch.
#pragma once

#include <cstdint>

#include "common/job/attempt.h"
#include "common/job/job_config.h"

namespace orchestrate {

class EpochChoice {
  public:
    struct Decision {
        bool keep = false;  // the weights of this epoch instead of those kept so far
        bool stop = false;  // early_stopping_patience epochs without a better one
    };

    // Without validation rows the last epoch is kept, and training is never stopped.
    EpochChoice(const TrainConfig& config, bool has_validation);

    // After each epoch (1-based) with its validation metrics. Better means by epoch_selection, and with
    // EpochSelection::last, which compares nothing, a lower validation loss.
    Decision after_epoch(std::int64_t epoch, const PartMetrics& validation);

    std::int64_t kept_epoch() const { return kept_epoch_; }  // 0: none yet
    const PartMetrics& kept_validation() const { return kept_validation_; }

  private:
    bool is_better(const PartMetrics& validation) const;

    EpochSelection selection_;
    std::int64_t patience_;
    std::int64_t kept_epoch_ = 0;
    PartMetrics kept_validation_;
    std::int64_t best_epoch_ = 0;
    PartMetrics best_validation_;
};

}  // namespace orchestrate
