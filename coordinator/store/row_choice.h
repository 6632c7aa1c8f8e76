// Which rows of a stage the next one goes on with.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "experiments/expansion/study.h"

namespace orchestrate {

// A variant's differences to the baseline, over pairs of runs.
struct MeasuredDifference {
    double mean = 0;
    double deviation = 0;  // 0 below two pairs
    std::int64_t pairs = 0;
};

// Of differences between the runs of each pair; nothing if there is none.
std::optional<MeasuredDifference> measured_difference(const std::vector<double>& differences);

// Places of the rows that `stage` goes on with, ascending: of `rows_rule`. `differences` has one entry per variant of the
// earlier stage, empty for its baseline and for what has no result.
std::vector<std::size_t> choose_rows(const Stage& stage,
                                     const std::vector<std::optional<MeasuredDifference>>& differences);

}  // namespace orchestrate
