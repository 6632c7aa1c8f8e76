// One prediction made of several: the mean of probabilities, or a vote. Pure; the metrics are those of trained models.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/job/attempt.h"
#include "experiments/expansion/study.h"

namespace orchestrate {

// What one job predicted on the test part, in ascending order of the line.
struct MemberPredictions {
    std::vector<std::string> classes;
    std::vector<std::int64_t> line;
    std::vector<std::int32_t> true_class;
    std::vector<std::int32_t> predicted_class;
    std::vector<float> probability;                // of the predicted class
    std::vector<std::uint16_t> class_probability;  // row-major [lines, classes], in 65535ths; empty: not kept
};

// Fills metrics, test_classes, test_confusion, test_predictions, classes and collapsed. By EnsembleRule::mean the loss is that
// of the mean probabilities, of which each is taken as at least 1/131070. A vote has only the metrics that need no
// probabilities, and its probabilities are shares of the votes. Throws UserError if members predict other rows or classes, or lack
// the probabilities that a mean needs.
AttemptResult combine_predictions(EnsembleRule rule, std::span<const MemberPredictions> members);

}  // namespace orchestrate
