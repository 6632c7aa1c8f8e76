// Losses of a training, which every part with rows has.
#pragma once

#include "common/job/attempt.h"

namespace orchestrate {

inline double test_loss(const AttemptResult& result) {
    return find_metric(result.metrics, key_of(MetricPart::test, TrainingMetric::loss)).value();
}

inline double validation_loss(const AttemptResult& result) {
    return find_metric(result.metrics, key_of(MetricPart::validation, TrainingMetric::loss)).value();
}

inline double validation_loss(const EpochMetrics& epoch) {
    return find_metric(epoch.metrics, key_of(MetricPart::validation, TrainingMetric::loss)).value();
}

}  // namespace orchestrate
