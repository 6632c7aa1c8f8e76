// Forward passes over one part of the data, cut over the ranks, gathered on rank 0 without duplicates.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "common/metrics/classification_metrics.h"
#include "worker/collective.h"
#include "worker/training/model/model.h"

namespace orchestrate {

// One entry per row of the part, in its order; on rank 0, empty on the others.
struct Evaluation {
    std::vector<std::int32_t> predicted_class;
    std::vector<float> probability;        // of the predicted class
    std::vector<float> class_probability;  // of all classes: row-major [rows, classes]
    double loss = 0;                       // mean cross-entropy
};

// Every rank calls it. OutOfMemory on every rank if one has no memory for a single text.
Evaluation evaluate(const EncoderClassifier& model, const PreparedPart& part,
                    const CompactVocabulary& vocabulary, const TextWindows& windows, Collective& collective,
                    const std::function<void()>& on_advance);

ConfusionMatrix confusion_of(const Evaluation& evaluation, const PreparedPart& part, std::size_t classes);

}  // namespace orchestrate
