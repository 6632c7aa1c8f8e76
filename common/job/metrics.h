// Classification metrics, as scikit-learn computes them over all classes of a study: a class that is absent
// from both sides counts as 0, and so does an undefined ratio.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/job/attempt.h"

namespace orchestrate {

// How often each class was taken for each. Not thread-safe.
class ConfusionMatrix {
  public:
    explicit ConfusionMatrix(std::size_t classes) : classes_(classes), counts_(classes * classes, 0) {}

    // Classes are in 0..classes-1, else std::out_of_range. Both spans have one entry per row.
    void add(std::int32_t true_class, std::int32_t predicted_class, std::int64_t count = 1);
    void add(std::span<const std::int32_t> true_classes, std::span<const std::int32_t> predicted_classes);

    std::size_t classes() const { return classes_; }
    std::int64_t count(std::size_t true_class, std::size_t predicted_class) const {
        return counts_[true_class * classes_ + predicted_class];
    }
    std::int64_t rows() const;

    // The counts above 0, by true and then by predicted class.
    std::vector<ConfusionCount> sparse() const;

    // Nearly one class is predicted, and the labels do not justify it: that class for over 90 % of the rows, and either
    // fewer rows of other classes than a tenth of what equally frequent classes would have, scaled by how many the labels
    // have (so a class of 94 % may be predicted for 94 %), or recalls whose mean is no better than that of one class for
    // all rows.
    bool is_collapsed() const;

    // Predictions and labels agree beyond what their frequencies alone explain: Cohen's kappa is at least 0.2 and three
    // times its standard error under independence.
    bool agrees_beyond_chance() const;

  private:
    struct Totals {
        std::vector<double> actual;     // rows of each true class
        std::vector<double> predicted;  // rows of each predicted class
        double rows = 0;
        double hits = 0;
    };
    Totals totals() const;
    double mean_recall(const Totals& totals) const;

    std::size_t classes_;
    std::vector<std::int64_t> counts_;
};

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
        micro;  // of the counts summed over the classes; with one label a row, all three are the accuracy
    Averages weighted;  // mean over the classes weighted by their rows
    std::vector<Averages> per_class;
    std::vector<std::int64_t> support;  // rows of each class
};

ClassificationMetrics classification_metrics(const ConfusionMatrix& confusion);

// The same as they are reported; `loss` is the part's mean cross-entropy.
PartMetrics part_metrics(const ConfusionMatrix& confusion, double loss);

// One entry per class, in the order of `names`.
std::vector<ClassMetrics> class_metrics(const ConfusionMatrix& confusion,
                                        const std::vector<std::string>& names);

}  // namespace orchestrate
