#include "results/metric_title.h"

#include "common/metrics/training_metrics.h"

namespace orchestrate {
namespace {

const char* title_of(TrainingMetric metric) {
    switch (metric) {
        case TrainingMetric::accuracy:
            return "accuracy";
        case TrainingMetric::macro_precision:
            return "macro P";
        case TrainingMetric::macro_recall:
            return "macro R";
        case TrainingMetric::macro_f1:
            return "macro F1";
        case TrainingMetric::balanced_accuracy:
            return "balanced acc.";
        case TrainingMetric::weighted_precision:
            return "weighted P";
        case TrainingMetric::weighted_recall:
            return "weighted R";
        case TrainingMetric::weighted_f1:
            return "weighted F1";
        case TrainingMetric::micro_precision:
            return "micro P";
        case TrainingMetric::micro_recall:
            return "micro R";
        case TrainingMetric::micro_f1:
            return "micro F1";
        case TrainingMetric::f1_of_macro_averages:
            return "F1 of macro P, R";
        case TrainingMetric::matthews_correlation:
            return "MCC";
        case TrainingMetric::cohen_kappa:
            return "kappa";
        case TrainingMetric::loss:
            return "loss";
        case TrainingMetric::top_3_accuracy:
            return "top-3 acc.";
        case TrainingMetric::top_5_accuracy:
            return "top-5 acc.";
        case TrainingMetric::mean_reciprocal_rank:
            return "MRR";
        case TrainingMetric::macro_roc_auc:
            return "ROC AUC";
        case TrainingMetric::expected_calibration_error:
            return "ECE";
        case TrainingMetric::brier_score:
            return "Brier";
    }
    return "";
}

}  // namespace

std::string metric_title(const std::string& name) {
    const auto known = enum_from_name<TrainingMetric>(name);
    return known ? title_of(*known) : name;
}

}  // namespace orchestrate
