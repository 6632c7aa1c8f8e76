// The values of one searched field, where there are finitely many; internal to the search.
#pragma once

#include "experiments/expansion/search_space.h"

namespace orchestrate {

// 0: a continuous range.
std::size_t count_values(const Distribution& distribution);

// `index` counts from 0 and is below count_values.
Value nth_value(const Distribution& distribution, std::size_t index);

double rounded_to_digits(double value, int digits);

}  // namespace orchestrate
