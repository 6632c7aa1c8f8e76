#include "coordinator/store/ensemble_predictions.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "common/base/error.h"
#include "common/metrics/classification_metrics.h"

namespace orchestrate {
namespace {

constexpr double kLeastProbability = 0.5 / 65535;

struct RowPrediction {
    std::int32_t predicted_class = 0;
    double probability = 0;
    double loss = 0;
};

void check(EnsembleRule rule, std::span<const MemberPredictions> members) {
    if (members.empty()) {
        throw UserError("it has no members");
    }
    const auto& first = members.front();
    if (first.line.empty()) {
        throw UserError("its members have no test predictions");
    }
    for (const auto& member : members) {
        if (member.classes != first.classes) {
            throw UserError("its members know different classes");
        }
        if (member.line != first.line || member.true_class != first.true_class) {
            throw UserError("its members were tested on different rows");
        }
        if (rule == EnsembleRule::mean &&
            member.class_probability.size() != member.line.size() * member.classes.size()) {
            throw UserError(
                "a member was trained by a version of this program that did not keep the probabilities of "
                "all classes; combine = \"vote\" does without them");
        }
    }
}

// Appends the mean probabilities of the row.
RowPrediction mean_of(std::span<const MemberPredictions> members, std::size_t row,
                      std::vector<float>& class_probability) {
    const std::size_t classes = members.front().classes.size();
    std::vector<std::int64_t> sums(classes, 0);  // integers: the order of members does not matter
    for (const auto& member : members) {
        for (std::size_t c = 0; c < classes; ++c) {
            sums[c] += member.class_probability[row * classes + c];
        }
    }
    const auto to_probability = [&](std::int64_t sum) {
        return static_cast<double>(sum) / (65535.0 * static_cast<double>(members.size()));
    };
    for (const std::int64_t sum : sums) {
        class_probability.push_back(static_cast<float>(to_probability(sum)));
    }
    const auto best = std::max_element(sums.begin(), sums.end());
    const auto true_class = static_cast<std::size_t>(members.front().true_class[row]);
    return {static_cast<std::int32_t>(best - sums.begin()), to_probability(*best),
            -std::log(std::max(kLeastProbability, to_probability(sums.at(true_class))))};
}

RowPrediction vote_of(std::span<const MemberPredictions> members, std::size_t row) {
    std::vector<std::pair<std::int64_t, std::int64_t>> votes(members.front().classes.size());
    for (const auto& member : members) {
        auto& [count, weight] = votes.at(static_cast<std::size_t>(member.predicted_class[row]));
        ++count;
        weight += std::llround(static_cast<double>(member.probability[row]) * 1e9);
    }
    const auto best = std::max_element(votes.begin(), votes.end());
    return {static_cast<std::int32_t>(best - votes.begin()),
            static_cast<double>(best->first) / static_cast<double>(members.size()), 0};
}

}  // namespace

AttemptResult combine_predictions(EnsembleRule rule, std::span<const MemberPredictions> members) {
    check(rule, members);
    const auto& first = members.front();
    AttemptResult result;
    result.classes = first.classes;
    auto& predictions = result.test_predictions;
    predictions.row = first.line;
    predictions.true_class = first.true_class;
    double loss = 0;
    std::vector<float> class_probability;  // of a mean: row-major [rows, classes]
    for (std::size_t row = 0; row < first.line.size(); ++row) {
        const RowPrediction made =
            rule == EnsembleRule::mean ? mean_of(members, row, class_probability) : vote_of(members, row);
        predictions.predicted_class.push_back(made.predicted_class);
        predictions.probability.push_back(static_cast<float>(made.probability));
        loss += made.loss;
    }
    ConfusionMatrix confusion(first.classes.size());
    confusion.add(first.true_class, predictions.predicted_class);
    result.metrics = metrics_of_predictions(MetricPart::test, confusion);
    if (rule == EnsembleRule::mean) {
        std::ranges::copy(
            metrics_of_probabilities(MetricPart::test, loss / static_cast<double>(first.line.size()),
                                     {class_probability, first.true_class, first.classes.size()}),
            std::back_inserter(result.metrics));
    }
    result.test_classes = class_metrics(confusion, first.classes);
    result.test_confusion = confusion.sparse();
    result.collapsed = confusion.is_collapsed();
    return result;
}

}  // namespace orchestrate
