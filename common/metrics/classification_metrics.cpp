#include "common/metrics/classification_metrics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <utility>

namespace orchestrate {
namespace {

constexpr double kShareOfGuessing = 0.99;

double ratio(double part, double whole) {
    return whole > 0 ? part / whole : 0;
}

Averages averages_of_counts(std::int64_t hits, std::int64_t predicted, std::int64_t actual) {
    const auto correct = static_cast<double>(hits);
    return {ratio(correct, static_cast<double>(predicted)), ratio(correct, static_cast<double>(actual)),
            ratio(2 * correct, static_cast<double>(predicted + actual))};
}

// Where the label stands among the classes of a row.
struct LabelRank {
    std::size_t above = 0;         // classes that are more probable
    std::size_t equal_higher = 0;  // as probable, and a higher class
    std::size_t equal = 0;         // as probable, itself included
};

LabelRank rank_of_label(std::span<const float> row, std::size_t label) {
    LabelRank rank;
    const float own = row[label];
    for (std::size_t c = 0; c < row.size(); ++c) {
        rank.above += row[c] > own ? 1U : 0U;
        rank.equal += row[c] == own ? 1U : 0U;
        rank.equal_higher += row[c] == own && c > label ? 1U : 0U;
    }
    return rank;
}

double squared_error(std::span<const float> row, std::size_t label) {
    double sum = 0;
    for (std::size_t c = 0; c < row.size(); ++c) {
        const double difference = static_cast<double>(row[c]) - (c == label ? 1 : 0);
        sum += difference * difference;
    }
    return sum;
}

class CalibrationBins {
  public:
    // Bins are open below and closed above, as in the paper.
    void add(double confidence, bool is_correct) {
        const double place = std::ceil(confidence * kBins) - 1;
        const auto bin = static_cast<std::size_t>(std::clamp(place, 0.0, kBins - 1.0));
        confidence_[bin] += confidence;
        correct_[bin] += is_correct ? 1 : 0;
    }

    double error(double rows) const {
        double sum = 0;
        for (std::size_t bin = 0; bin < confidence_.size(); ++bin) {
            sum += std::abs(confidence_[bin] - correct_[bin]);
        }
        return ratio(sum, rows);
    }

  private:
    static constexpr double kBins = 15;
    std::array<double, 15> confidence_{};
    std::array<double, 15> correct_{};
};

// Area under the ROC curve by ranks (Mann and Whitney 1947); `column` is sorted here, by probability. Nothing if
// either side has no row.
std::optional<double> area_under_curve(std::vector<std::pair<float, bool>>& column) {
    std::ranges::sort(column, {}, &std::pair<float, bool>::first);
    double positives = 0;
    double rank_sum = 0;  // of the positives; equal values share the mean of their ranks
    for (std::size_t begin = 0; begin < column.size();) {
        std::size_t end = begin;
        double here = 0;
        for (; end < column.size() && column[end].first == column[begin].first; ++end) {
            here += column[end].second ? 1 : 0;
        }
        positives += here;
        rank_sum += here * (static_cast<double>(begin + 1) + static_cast<double>(end)) / 2;
        begin = end;
    }
    const double negatives = static_cast<double>(column.size()) - positives;
    if (positives == 0 || negatives == 0) {
        return std::nullopt;
    }
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives);
}

double macro_roc_auc(const ClassProbabilities& probabilities) {
    std::vector<bool> has_rows(probabilities.classes, false);
    for (const std::int32_t label : probabilities.labels) {
        has_rows[static_cast<std::size_t>(label)] = true;
    }
    double sum = 0;
    double classes = 0;
    std::vector<std::pair<float, bool>> column(probabilities.labels.size());
    for (std::size_t c = 0; c < probabilities.classes; ++c) {
        if (!has_rows[c]) {
            continue;
        }
        for (std::size_t row = 0; row < column.size(); ++row) {
            column[row] = {probabilities.values[row * probabilities.classes + c],
                           static_cast<std::size_t>(probabilities.labels[row]) == c};
        }
        if (const auto area = area_under_curve(column)) {
            sum += *area;
            ++classes;
        }
    }
    return classes > 0 ? sum / classes : 0.5;
}

void check_sizes(const ClassProbabilities& probabilities) {
    const auto& [values, labels, classes] = probabilities;
    if (values.size() != labels.size() * classes) {
        throw std::invalid_argument("the probabilities are not those of " + std::to_string(labels.size()) +
                                    " rows and " + std::to_string(classes) + " classes");
    }
    for (const std::int32_t label : labels) {
        if (label < 0 || static_cast<std::size_t>(label) >= classes) {
            throw std::invalid_argument("the label " + std::to_string(label) + " is none of " +
                                        std::to_string(classes) + " classes");
        }
    }
}

void add(std::vector<MetricValue>& values, MetricPart part, TrainingMetric metric, double value) {
    values.push_back({part, to_string(metric), value});
}

}  // namespace

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

std::vector<MetricValue> metrics_of_predictions(MetricPart part, const ConfusionMatrix& confusion) {
    const auto all = classification_metrics(confusion);
    std::vector<MetricValue> values;
    const auto put = [&](TrainingMetric metric, double value) { add(values, part, metric, value); };
    put(TrainingMetric::accuracy, all.accuracy);
    put(TrainingMetric::macro_precision, all.macro.precision);
    put(TrainingMetric::macro_recall, all.macro.recall);
    put(TrainingMetric::macro_f1, all.macro.f1);
    put(TrainingMetric::balanced_accuracy, confusion.balanced_accuracy());
    put(TrainingMetric::weighted_precision, all.weighted.precision);
    put(TrainingMetric::weighted_recall, all.weighted.recall);
    put(TrainingMetric::weighted_f1, all.weighted.f1);
    put(TrainingMetric::micro_precision, all.micro.precision);
    put(TrainingMetric::micro_recall, all.micro.recall);
    put(TrainingMetric::micro_f1, all.micro.f1);
    put(TrainingMetric::f1_of_macro_averages,
        ratio(2 * all.macro.precision * all.macro.recall, all.macro.precision + all.macro.recall));
    put(TrainingMetric::matthews_correlation, confusion.matthews_correlation());
    put(TrainingMetric::cohen_kappa, confusion.cohen_kappa());
    return values;
}

ProbabilityMetrics probability_metrics(const ClassProbabilities& probabilities) {
    check_sizes(probabilities);
    const std::size_t classes = probabilities.classes;
    const auto rows = static_cast<double>(probabilities.labels.size());
    ProbabilityMetrics metrics;
    CalibrationBins bins;
    for (std::size_t i = 0; i < probabilities.labels.size(); ++i) {
        const auto row = probabilities.values.subspan(i * classes, classes);
        const auto label = static_cast<std::size_t>(probabilities.labels[i]);
        const LabelRank rank = rank_of_label(row, label);
        metrics.top_3_accuracy += rank.above + rank.equal_higher < 3 ? 1 : 0;
        metrics.top_5_accuracy += rank.above + rank.equal_higher < 5 ? 1 : 0;
        metrics.mean_reciprocal_rank += 1 / static_cast<double>(rank.above + rank.equal);
        metrics.brier_score += squared_error(row, label);
        const auto most_probable = std::ranges::max_element(row);
        bins.add(*most_probable, static_cast<std::size_t>(most_probable - row.begin()) == label);
    }
    metrics.top_3_accuracy = ratio(metrics.top_3_accuracy, rows);
    metrics.top_5_accuracy = ratio(metrics.top_5_accuracy, rows);
    metrics.mean_reciprocal_rank = ratio(metrics.mean_reciprocal_rank, rows);
    metrics.brier_score = ratio(metrics.brier_score, rows) / (classes == 2 ? 2 : 1);
    metrics.expected_calibration_error = bins.error(rows);
    metrics.macro_roc_auc = macro_roc_auc(probabilities);
    return metrics;
}

std::vector<MetricValue> metrics_of_probabilities(MetricPart part, double loss,
                                                  const ClassProbabilities& probabilities) {
    const ProbabilityMetrics all = probability_metrics(probabilities);
    std::vector<MetricValue> values;
    const auto put = [&](TrainingMetric metric, double value) { add(values, part, metric, value); };
    put(TrainingMetric::loss, loss);
    put(TrainingMetric::top_3_accuracy, all.top_3_accuracy);
    put(TrainingMetric::top_5_accuracy, all.top_5_accuracy);
    put(TrainingMetric::mean_reciprocal_rank, all.mean_reciprocal_rank);
    put(TrainingMetric::macro_roc_auc, all.macro_roc_auc);
    put(TrainingMetric::expected_calibration_error, all.expected_calibration_error);
    put(TrainingMetric::brier_score, all.brier_score);
    return values;
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
