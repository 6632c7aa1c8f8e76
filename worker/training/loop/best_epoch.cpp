#include "worker/training/loop/best_epoch.h"

namespace orchestrate {

BestEpoch::BestEpoch(const TrainConfig& config, bool has_validation)
    : selection_(has_validation ? selection_metric(config.epoch_selection) : std::nullopt),
      patience_(has_validation ? config.early_stopping_patience : 0) {}

BestEpoch::Decision BestEpoch::after_epoch(std::int64_t epoch, const std::vector<MetricValue>& validation) {
    const TrainingMetric metric = selection_.value_or(TrainingMetric::loss);
    const auto value = find_metric(validation, key_of(MetricPart::validation, metric));
    const bool is_min = declaration_of(metric).goal == MetricGoal::min;
    if (best_epoch_ == 0 || (value && (is_min ? *value < best_value_ : *value > best_value_))) {
        best_epoch_ = epoch;
        best_value_ = value.value_or(0);
    }
    Decision decision;
    decision.keep = !selection_ || best_epoch_ == epoch;
    decision.stop = patience_ > 0 && epoch - best_epoch_ >= patience_;
    if (decision.keep) {
        kept_epoch_ = epoch;
        kept_validation_ = validation;
    }
    return decision;
}

}  // namespace orchestrate
