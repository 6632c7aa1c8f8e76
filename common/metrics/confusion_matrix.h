// How often each class was predicted for each true class, and what a training's usefulness is judged by.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <boost/describe.hpp>

#include "common/base/json.h"

namespace orchestrate {

struct ConfusionCount {
    std::int64_t true_class = 0;
    std::int64_t predicted_class = 0;
    std::int64_t count = 0;
};
BOOST_DESCRIBE_STRUCT(ConfusionCount, (), (true_class, predicted_class, count))

// Not thread-safe.
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

    // Mean recall over the classes that have rows; 0 without rows. scikit-learn: balanced_accuracy_score.
    double balanced_accuracy() const;

    // Agreement beyond chance (Cohen 1960), -1 to 1; 0 where it is undefined, as when labels and predictions are one
    // class. scikit-learn: cohen_kappa_score.
    double cohen_kappa() const;

    // Correlation of labels and predictions for any number of classes (Gorodkin 2004), -1 to 1; 0 where labels or
    // predictions are one class. scikit-learn: matthews_corrcoef.
    double matthews_correlation() const;

  private:
    struct Totals {
        std::vector<double> actual;     // rows of each true class
        std::vector<double> predicted;  // rows of each predicted class
        double rows = 0;
        double hits = 0;
    };
    Totals totals() const;
    double balanced_accuracy(const Totals& totals) const;
    static double chance_agreement(const Totals& totals);

    std::size_t classes_;
    std::vector<std::int64_t> counts_;
};

}  // namespace orchestrate
