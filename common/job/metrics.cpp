#include "common/job/metrics.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

namespace orchestrate {
namespace {

constexpr double kCollapsedShare = 0.9;
constexpr double kShareOfGuessing = 0.99;

double ratio(double part, double whole) {
    return whole > 0 ? part / whole : 0;
}

Averages averages_of_counts(std::int64_t hits, std::int64_t predicted, std::int64_t actual) {
    const auto correct = static_cast<double>(hits);
    return {ratio(correct, static_cast<double>(predicted)), ratio(correct, static_cast<double>(actual)),
            ratio(2 * correct, static_cast<double>(predicted + actual))};
}

}  // namespace

void ConfusionMatrix::add(std::int32_t true_class, std::int32_t predicted_class, std::int64_t count) {
    const auto row = static_cast<std::size_t>(true_class);
    const auto column = static_cast<std::size_t>(predicted_class);
    if (true_class < 0 || predicted_class < 0 || row >= classes_ || column >= classes_) {
        throw std::out_of_range("class " + std::to_string(true_class) + " or " +
                                std::to_string(predicted_class) + " is none of " + std::to_string(classes_));
    }
    counts_[row * classes_ + column] += count;
}

void ConfusionMatrix::add(std::span<const std::int32_t> true_classes,
                          std::span<const std::int32_t> predicted_classes) {
    if (true_classes.size() != predicted_classes.size()) {
        throw std::out_of_range("as many predictions as labels are needed");
    }
    for (std::size_t i = 0; i < true_classes.size(); ++i) {
        add(true_classes[i], predicted_classes[i]);
    }
}

std::int64_t ConfusionMatrix::rows() const {
    return std::accumulate(counts_.begin(), counts_.end(), std::int64_t{0});
}

std::vector<ConfusionCount> ConfusionMatrix::sparse() const {
    std::vector<ConfusionCount> result;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
        if (counts_[i] > 0) {
            result.push_back({static_cast<std::int64_t>(i / classes_),
                              static_cast<std::int64_t>(i % classes_), counts_[i]});
        }
    }
    return result;
}

ConfusionMatrix::Totals ConfusionMatrix::totals() const {
    Totals totals{std::vector<double>(classes_, 0), std::vector<double>(classes_, 0)};
    for (std::size_t i = 0; i < counts_.size(); ++i) {
        const auto count = static_cast<double>(counts_[i]);
        totals.actual[i / classes_] += count;
        totals.predicted[i % classes_] += count;
        totals.rows += count;
        totals.hits += i / classes_ == i % classes_ ? count : 0;
    }
    return totals;
}

// Over the classes that have rows (balanced accuracy).
double ConfusionMatrix::mean_recall(const Totals& totals) const {
    double sum = 0;
    double present = 0;
    for (std::size_t i = 0; i < classes_; ++i) {
        sum += ratio(static_cast<double>(count(i, i)), totals.actual[i]);
        present += totals.actual[i] > 0 ? 1 : 0;
    }
    return ratio(sum, present);
}

bool ConfusionMatrix::is_collapsed() const {
    const Totals all = totals();
    if (all.rows == 0) {
        return false;
    }
    const auto most = std::max_element(all.predicted.begin(), all.predicted.end());
    if (*most <= kCollapsedShare * all.rows) {
        return false;
    }
    const auto chosen = static_cast<std::size_t>(most - all.predicted.begin());
    const auto present = static_cast<double>(
        std::count_if(all.actual.begin(), all.actual.end(), [](double rows) { return rows > 0; }));
    if (present < 2) {
        return all.actual[chosen] == 0;
    }
    const double chance = 1 / present;
    const double others_predicted = 1 - *most / all.rows;
    const double others_actual = 1 - all.actual[chosen] / all.rows;
    const bool is_nearly_one = others_predicted < (1 - kCollapsedShare) * others_actual / (1 - chance);
    return is_nearly_one || mean_recall(all) <= chance;
}

bool ConfusionMatrix::agrees_beyond_chance() const {
    constexpr double kFairAgreement = 0.2;  // Landis and Koch 1977
    constexpr double kErrors = 3;
    const Totals all = totals();
    if (all.rows == 0) {
        return false;
    }
    double expected = 0;
    for (std::size_t i = 0; i < classes_; ++i) {
        expected += all.actual[i] / all.rows * all.predicted[i] / all.rows;
    }
    if (expected >= 1) {
        return false;
    }
    const double kappa = (all.hits / all.rows - expected) / (1 - expected);
    const double error = std::sqrt(expected / ((1 - expected) * all.rows));
    return kappa >= std::max(kFairAgreement, kErrors * error);
}

bool is_no_better_than(double loss_of_guessing, double loss) {
    return loss >= kShareOfGuessing * loss_of_guessing;
}

ClassificationMetrics classification_metrics(const ConfusionMatrix& confusion) {
    const std::size_t classes = confusion.classes();
    ClassificationMetrics result;
    result.support.assign(classes, 0);
    std::vector<std::int64_t> predicted(classes, 0);
    std::int64_t hits = 0;
    for (std::size_t i = 0; i < classes; ++i) {
        hits += confusion.count(i, i);
        for (std::size_t j = 0; j < classes; ++j) {
            result.support[i] += confusion.count(i, j);
            predicted[j] += confusion.count(i, j);
        }
    }
    const std::int64_t rows = confusion.rows();
    result.accuracy = ratio(static_cast<double>(hits), static_cast<double>(rows));
    result.micro = averages_of_counts(hits, rows, rows);
    for (std::size_t i = 0; i < classes; ++i) {
        const Averages one = averages_of_counts(confusion.count(i, i), predicted[i], result.support[i]);
        result.per_class.push_back(one);
        const double share = ratio(static_cast<double>(result.support[i]), static_cast<double>(rows));
        const double equal_share = 1 / static_cast<double>(classes);
        result.macro.precision += equal_share * one.precision;
        result.macro.recall += equal_share * one.recall;
        result.macro.f1 += equal_share * one.f1;
        result.weighted.precision += share * one.precision;
        result.weighted.recall += share * one.recall;
        result.weighted.f1 += share * one.f1;
    }
    return result;
}

PartMetrics part_metrics(const ConfusionMatrix& confusion, double loss) {
    const auto all = classification_metrics(confusion);
    PartMetrics part;
    part.loss = loss;
    part.accuracy = all.accuracy;
    part.macro_precision = all.macro.precision;
    part.macro_recall = all.macro.recall;
    part.macro_f1 = all.macro.f1;
    part.weighted_precision = all.weighted.precision;
    part.weighted_recall = all.weighted.recall;
    part.weighted_f1 = all.weighted.f1;
    part.f1_of_macro_averages =
        ratio(2 * all.macro.precision * all.macro.recall, all.macro.precision + all.macro.recall);
    part.rows = confusion.rows();
    return part;
}

std::vector<ClassMetrics> class_metrics(const ConfusionMatrix& confusion,
                                        const std::vector<std::string>& names) {
    const auto all = classification_metrics(confusion);
    std::vector<ClassMetrics> result;
    for (std::size_t i = 0; i < names.size(); ++i) {
        const Averages& one = all.per_class.at(i);
        result.push_back({names[i], one.precision, one.recall, one.f1, all.support[i]});
    }
    return result;
}

}  // namespace orchestrate
