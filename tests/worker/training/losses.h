// Losses of a training, which rank 0 has of every part with rows; 0 on other ranks.
#pragma once

#include "common/job/attempt.h"

namespace orchestrate {

inline double test_loss(const AttemptResult& result) {
    return find_metric(result.metrics, key_of(MetricPart::test, TrainingMetric::loss)).value_or(0);
}

inline double validation_loss(const AttemptResult& result) {
    return find_metric(result.metrics, key_of(MetricPart::validation, TrainingMetric::loss)).value_or(0);
}

inline double validation_loss(const EpochMetrics& epoch) {
    return find_metric(epoch.metrics, key_of(MetricPart::validation, TrainingMetric::loss)).value_or(0);
}

}  // namespace orchestrate
