// The metrics that every training reports for the validation part after each epoch, and for both parts at its end.
#pragma once

#include <vector>

#include <boost/describe.hpp>

#include "common/metrics/metric.h"

namespace orchestrate {

// Computed over all classes of the study, as by scikit-learn with labels=range(classes): a class absent from both
// sides counts as 0, and so does an undefined ratio. Formulas and sources: classification_metrics.h.
enum class TrainingMetric {
    accuracy,
    macro_precision,
    macro_recall,
    macro_f1,
    balanced_accuracy,
    weighted_precision,
    weighted_recall,
    weighted_f1,
    micro_precision,
    micro_recall,
    micro_f1,
    // Harmonic mean of macro precision and macro recall: not the macro F1, but what some papers print as F1.
    f1_of_macro_averages,
    matthews_correlation,
    cohen_kappa,
    // These need the probabilities of all classes: votes of ensembles do not have them.
    loss,  // mean cross-entropy
    top_3_accuracy,
    top_5_accuracy,
    mean_reciprocal_rank,
    macro_roc_auc,  // one class against the rest
    expected_calibration_error,
    brier_score,
};
BOOST_DESCRIBE_ENUM(TrainingMetric, accuracy, macro_precision, macro_recall, macro_f1, balanced_accuracy,
                    weighted_precision, weighted_recall, weighted_f1, micro_precision, micro_recall, micro_f1,
                    f1_of_macro_averages, matthews_correlation, cohen_kappa, loss, top_3_accuracy,
                    top_5_accuracy, mean_reciprocal_rank, macro_roc_auc, expected_calibration_error,
                    brier_score)

// Tables show accuracy, macro precision, macro recall and macro F1 unless others are asked for.
MetricDeclaration declaration_of(TrainingMetric metric);

// All of them, in the order above.
const std::vector<MetricDeclaration>& training_metrics();

// What stages are selected by unless a study says otherwise.
inline constexpr TrainingMetric kDefaultSelectionMetric = TrainingMetric::macro_f1;

MetricKey key_of(MetricPart part, TrainingMetric metric);

}  // namespace orchestrate
