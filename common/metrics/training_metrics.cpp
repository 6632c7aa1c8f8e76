#include "common/metrics/training_metrics.h"

#include <boost/mp11.hpp>

namespace orchestrate {
namespace {

MetricGoal goal_of(TrainingMetric metric) {
    switch (metric) {
        case TrainingMetric::loss:
        case TrainingMetric::expected_calibration_error:
        case TrainingMetric::brier_score:
            return MetricGoal::min;
        default:
            return MetricGoal::max;
    }
}

MetricUnit unit_of(TrainingMetric metric) {
    switch (metric) {
        case TrainingMetric::loss:
        case TrainingMetric::brier_score:
        case TrainingMetric::matthews_correlation:
        case TrainingMetric::cohen_kappa:
        case TrainingMetric::mean_reciprocal_rank:
            return MetricUnit::number;
        default:
            return MetricUnit::fraction;
    }
}

std::vector<MetricDeclaration> declare_all() {
    std::vector<MetricDeclaration> all;
    boost::mp11::mp_for_each<boost::describe::describe_enumerators<TrainingMetric>>(
        [&](auto enumerator) { all.push_back(declaration_of(enumerator.value)); });
    return all;
}

}  // namespace

MetricDeclaration declaration_of(TrainingMetric metric) {
    return {to_string(metric), goal_of(metric), unit_of(metric), metric <= TrainingMetric::macro_f1};
}

const std::vector<MetricDeclaration>& training_metrics() {
    static const std::vector<MetricDeclaration> all = declare_all();
    return all;
}

MetricKey key_of(MetricPart part, TrainingMetric metric) {
    return {part, to_string(metric)};
}

}  // namespace orchestrate
