// Successive halving (Jamieson and Talwalkar 2016) and its asynchronous form ASHA (Li et al. 2020): which trials of a search
// are trained further. Pure: what is known of the trials goes in, who is promoted comes out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "common/job/attempt.h"
#include "experiments/expansion/study.h"

namespace orchestrate {

// One trial, by rung of Halving::rungs.
struct TrialAtRungs {
    // How many rungs it may go past: 0 lets it reach the first, rungs.size() lets it reach the end.
    std::size_t released = 0;
    struct Arrival {
        std::optional<double> value;  // the higher the better; nothing: it failed there or before
        bool operator==(const Arrival&) const = default;
    };
    std::vector<std::optional<Arrival>> at;  // nothing: not there yet
    bool operator==(const TrialAtRungs&) const = default;
};

// Trials, by place, that may go past one more rung now; those at the highest rungs first, then the best. Asynchronously
// the best 1 / reduction_factor of those that have arrived at a rung; if `deterministic`, of all that can, once they have:
// the same promotions in whatever order trials arrive. Equal values: the earlier trial first. From the trials that
// ever reach a rung at least one with a value goes on.
std::vector<std::size_t> promotions(const Halving& rules, const std::vector<TrialAtRungs>& trials);

// What a rung compares: of the epochs up to it, the metric of the one that `selection` keeps, negated if lower is better;
// nothing without epochs or without that metric. `epochs`: of one job, in order from the first.
std::optional<double> value_at_rung(const std::vector<EpochMetrics>& epochs, std::int64_t rung,
                                    EpochSelection selection, const MetricKey& metric, MetricGoal goal);

}  // namespace orchestrate
