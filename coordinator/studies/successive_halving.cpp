#include "coordinator/studies/successive_halving.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace orchestrate {
namespace {

// Whether `one` is kept instead of an earlier epoch; a missing value is worse than any.
bool is_better(const EpochMetrics& one, const EpochMetrics& other, EpochSelection selection) {
    const auto metric = selection_metric(selection);
    if (!metric) {
        return true;
    }
    const MetricKey key = key_of(MetricPart::validation, *metric);
    const auto value = find_metric(one.metrics, key);
    const auto best = find_metric(other.metrics, key);
    if (!value || !best) {
        return value.has_value() && !best.has_value();
    }
    return declaration_of(*metric).goal == MetricGoal::max ? *value > *best : *value < *best;
}

// Trials that have arrived at a rung, the best first.
std::vector<std::size_t> ranking(const std::vector<TrialAtRungs>& trials,
                                 const std::vector<std::size_t>& released, std::size_t rung) {
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < trials.size(); ++i) {
        if (released[i] >= rung && trials[i].at.at(rung)) {
            places.push_back(i);
        }
    }
    const auto score = [&](std::size_t place) {
        const auto& value = trials[place].at[rung]->value;
        return value && !std::isnan(*value) ? *value : -std::numeric_limits<double>::infinity();
    };
    std::stable_sort(places.begin(), places.end(),
                     [&](std::size_t a, std::size_t b) { return score(a) > score(b); });
    return places;
}

}  // namespace

std::vector<std::size_t> promotions(const Halving& rules, const std::vector<TrialAtRungs>& trials) {
    std::vector<std::size_t> released;  // also by what is promoted here
    released.reserve(trials.size());
    for (const auto& trial : trials) {
        released.push_back(trial.released);
    }
    std::vector<std::vector<std::size_t>> promoted(rules.rungs.size());
    bool none_can_still_come = true;
    for (std::size_t rung = 0; rung < rules.rungs.size(); ++rung) {
        const auto ranked = ranking(trials, released, rung);
        const auto expected = static_cast<std::size_t>(std::count_if(
            released.begin(), released.end(), [&](std::size_t rungs) { return rungs >= rung; }));
        none_can_still_come = none_can_still_come && ranked.size() == expected;
        std::size_t places = ranked.size() / static_cast<std::size_t>(rules.reduction_factor);
        if (none_can_still_come) {
            places = std::max<std::size_t>(places, 1);
        } else if (rules.deterministic) {
            continue;
        }
        for (std::size_t i = 0; i < std::min(places, ranked.size()); ++i) {
            const auto& value = trials[ranked[i]].at[rung]->value;
            if (released[ranked[i]] == rung && value && !std::isnan(*value)) {
                ++released[ranked[i]];
                promoted[rung].push_back(ranked[i]);
            }
        }
    }
    std::vector<std::size_t> result;
    std::vector<bool> is_in_result(trials.size(), false);
    std::reverse(promoted.begin(), promoted.end());
    for (const auto& of_rung : promoted) {
        for (const std::size_t place : of_rung) {
            if (!is_in_result[place]) {
                is_in_result[place] = true;
                result.push_back(place);
            }
        }
    }
    return result;
}

std::optional<double> value_at_rung(const std::vector<EpochMetrics>& epochs, std::int64_t rung,
                                    EpochSelection selection, const MetricKey& metric, MetricGoal goal) {
    const EpochMetrics* kept = nullptr;
    for (const auto& epoch : epochs) {
        if (epoch.epoch <= rung && (!kept || is_better(epoch, *kept, selection))) {
            kept = &epoch;
        }
    }
    const auto value = kept ? find_metric(kept->metrics, metric) : std::nullopt;
    return value && goal == MetricGoal::min ? std::optional(-*value) : value;
}

}  // namespace orchestrate
