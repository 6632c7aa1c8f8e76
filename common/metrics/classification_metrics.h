// Classification metrics, equal to scikit-learn's over all classes of a study (zero_division=0, labels=range(classes)).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <boost/describe.hpp>

#include "common/metrics/confusion_matrix.h"
#include "common/metrics/training_metrics.h"

namespace orchestrate {

// Metrics of one class on the test part.
struct ClassMetrics {
    std::string name;
    double precision = 0;
    double recall = 0;
    double f1 = 0;
    std::int64_t support = 0;  // rows of the class
};
BOOST_DESCRIBE_STRUCT(ClassMetrics, (), (name, precision, recall, f1, support))

// A loss that is not at least 1 % below that of guessing: nothing was learned that shows in it.
bool is_no_better_than(double loss_of_guessing, double loss);

struct Averages {
    double precision = 0;
    double recall = 0;
    double f1 = 0;
};

struct ClassificationMetrics {
    double accuracy = 0;
    Averages macro;  // mean over the classes
    Averages
        micro;  // of the counts summed over the classes: with one label per row, all three are the accuracy
    Averages weighted;  // mean over the classes weighted by their rows
    std::vector<Averages> per_class;
    std::vector<std::int64_t> support;  // rows of each class
};

ClassificationMetrics classification_metrics(const ConfusionMatrix& confusion);

// The metrics of a part that need only its predicted classes, in the order of TrainingMetric.
std::vector<MetricValue> metrics_of_predictions(MetricPart part, const ConfusionMatrix& confusion);

// Probabilities of all classes for each row, and the rows' labels.
struct ClassProbabilities {
    std::span<const float> values;         // row-major [rows, classes]; finite
    std::span<const std::int32_t> labels;  // [rows], each in 0..classes-1
    std::size_t classes = 0;
};

struct ProbabilityMetrics {
    // Share of the rows whose label is among the k most probable classes; of equal probabilities, higher classes come
    // first. scikit-learn: top_k_accuracy_score. 1 if there are at most k classes.
    double top_3_accuracy = 0;
    double top_5_accuracy = 0;
    // Mean of 1 / (number of classes at least as probable as the label, itself included). scikit-learn:
    // label_ranking_average_precision_score, of one label per row.
    double mean_reciprocal_rank = 0;
    // Mean over the classes of the area under the ROC curve of that class against the rest, ties counted half. Classes
    // without a row, or that all rows have, are left out; 0.5 if that leaves none. scikit-learn: roc_auc_score with
    // multi_class="ovr", average="macro".
    double macro_roc_auc = 0.5;
    // Mean absolute difference between confidence (probability of the most probable class) and accuracy in 15 equally
    // wide bins of the confidence, weighted by their rows (Guo et al. 2017, "On Calibration of Modern Neural Networks").
    double expected_calibration_error = 0;
    // Mean over the rows of the squared differences between probabilities and the label's one-hot vector, summed over
    // the classes (Brier 1950); half of it with two classes. scikit-learn: brier_score_loss.
    double brier_score = 0;
};

// All 0 (ROC AUC: 0.5) without rows. Throws std::invalid_argument if the sizes do not fit.
ProbabilityMetrics probability_metrics(const ClassProbabilities& probabilities);

// The metrics of a part that need probabilities, in the order of TrainingMetric; `loss`: its mean cross-entropy.
std::vector<MetricValue> metrics_of_probabilities(MetricPart part, double loss,
                                                  const ClassProbabilities& probabilities);

// One entry per class, in the order of `names`.
std::vector<ClassMetrics> class_metrics(const ConfusionMatrix& confusion,
                                        const std::vector<std::string>& names);

}  // namespace orchestrate
