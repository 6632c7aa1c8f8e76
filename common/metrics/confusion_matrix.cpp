#include "common/metrics/confusion_matrix.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>

namespace orchestrate {
namespace {

constexpr double kCollapsedShare = 0.9;

double ratio(double part, double whole) {
    return whole > 0 ? part / whole : 0;
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

double ConfusionMatrix::balanced_accuracy(const Totals& totals) const {
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
    return is_nearly_one || balanced_accuracy(all) <= chance;
}

bool ConfusionMatrix::agrees_beyond_chance() const {
    constexpr double kFairAgreement = 0.2;  // Landis and Koch 1977
    constexpr double kErrors = 3;
    const Totals all = totals();
    if (all.rows == 0) {
        return false;
    }
    const double expected = chance_agreement(all);
    if (expected >= 1) {
        return false;
    }
    const double kappa = (all.hits / all.rows - expected) / (1 - expected);
    const double error = std::sqrt(expected / ((1 - expected) * all.rows));
    return kappa >= std::max(kFairAgreement, kErrors * error);
}

double ConfusionMatrix::chance_agreement(const Totals& totals) {
    double expected = 0;
    for (std::size_t i = 0; i < totals.actual.size(); ++i) {
        expected += totals.actual[i] / totals.rows * totals.predicted[i] / totals.rows;
    }
    return expected;
}

double ConfusionMatrix::balanced_accuracy() const {
    return balanced_accuracy(totals());
}

double ConfusionMatrix::cohen_kappa() const {
    const Totals all = totals();
    double by_chance = 0;  // sums of integers: exact
    for (std::size_t i = 0; i < classes_; ++i) {
        by_chance += all.actual[i] * all.predicted[i];
    }
    const double squared_rows = all.rows * all.rows;
    return ratio(all.hits * all.rows - by_chance, squared_rows - by_chance);
}

double ConfusionMatrix::matthews_correlation() const {
    const Totals all = totals();
    double by_chance = 0;
    double actual_squares = 0;
    double predicted_squares = 0;
    for (std::size_t i = 0; i < classes_; ++i) {
        by_chance += all.actual[i] * all.predicted[i];
        actual_squares += all.actual[i] * all.actual[i];
        predicted_squares += all.predicted[i] * all.predicted[i];
    }
    const double squared_rows = all.rows * all.rows;
    const double variances = (squared_rows - actual_squares) * (squared_rows - predicted_squares);
    return ratio(all.hits * all.rows - by_chance, std::sqrt(variances));
}

}  // namespace orchestrate
