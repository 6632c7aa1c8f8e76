// Which epoch's weights a training keeps. Free of torch.
#pragma once

#include <cstdint>

#include "common/attempt.h"
#include "common/job_config.h"

namespace orchestrate {

class EpochChoice {
  public:
    // Without validation rows the last epoch is kept.
    EpochChoice(EpochSelection selection, bool has_validation);

    // Whether the weights of an epoch with these validation metrics are to be kept instead of the chosen ones.
    bool is_better(const PartMetrics& validation) const;
    void choose(std::int64_t epoch, const PartMetrics& validation);

    std::int64_t epoch() const { return epoch_; }  // 1-based; 0: none yet
    const PartMetrics& validation() const { return validation_; }

  private:
    EpochSelection selection_;
    std::int64_t epoch_ = 0;
    PartMetrics validation_;
};

}  // namespace orchestrate
