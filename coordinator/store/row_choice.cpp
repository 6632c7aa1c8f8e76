#include "coordinator/store/row_choice.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "results/power.h"

namespace orchestrate {
namespace {

constexpr double kSignificance = 0.05;

std::vector<std::size_t> largest(const std::vector<std::optional<MeasuredDifference>>& differences,
                                 std::size_t most) {
    std::vector<std::pair<double, std::size_t>> sizes;
    for (std::size_t i = 0; i < differences.size(); ++i) {
        if (differences[i] && !std::isnan(differences[i]->mean)) {
            sizes.emplace_back(-std::abs(differences[i]->mean), i);
        }
    }
    std::sort(sizes.begin(), sizes.end());
    std::vector<std::size_t> rows;
    for (std::size_t i = 0; i < std::min(most, sizes.size()); ++i) {
        rows.push_back(sizes[i].second);
    }
    return rows;
}

// Holm's step-down procedure over all rows that a test can be made of.
std::vector<std::size_t> significant(const std::vector<std::optional<MeasuredDifference>>& differences) {
    std::vector<std::pair<double, std::size_t>> p_values;
    for (std::size_t i = 0; i < differences.size(); ++i) {
        if (!differences[i]) {
            continue;
        }
        if (const auto p =
                paired_p_value(differences[i]->mean, differences[i]->deviation, differences[i]->pairs)) {
            p_values.emplace_back(*p, i);
        }
    }
    std::sort(p_values.begin(), p_values.end());
    std::vector<std::size_t> rows;
    for (std::size_t i = 0; i < p_values.size(); ++i) {
        if (p_values[i].first > kSignificance / static_cast<double>(p_values.size() - i)) {
            break;
        }
        rows.push_back(p_values[i].second);
    }
    return rows;
}

}  // namespace

std::optional<MeasuredDifference> measured_difference(const std::vector<double>& differences) {
    if (differences.empty()) {
        return std::nullopt;
    }
    MeasuredDifference result;
    result.pairs = static_cast<std::int64_t>(differences.size());
    for (const double difference : differences) {
        result.mean += difference / static_cast<double>(differences.size());
    }
    double squares = 0;
    for (const double difference : differences) {
        squares += (difference - result.mean) * (difference - result.mean);
    }
    if (differences.size() > 1) {
        result.deviation = std::sqrt(squares / static_cast<double>(differences.size() - 1));
    }
    return result;
}

std::vector<std::size_t> choose_rows(const Stage& stage,
                                     const std::vector<std::optional<MeasuredDifference>>& differences) {
    auto rows = stage.rows_rule == VariantFilter::top ? largest(differences, stage.max_rows)
                                                      : significant(differences);
    std::sort(rows.begin(), rows.end());
    return rows;
}

}  // namespace orchestrate
