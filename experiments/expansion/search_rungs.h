// The rungs of successive halving: made, and checked against the rest of the search; internal to experiments/.
#pragma once

#include <vector>

#include "experiments/expansion/search_space.h"
#include "experiments/expansion/study.h"

namespace orchestrate {

// Makes search.rungs of search.min_epochs, and leaves out rungs that no training reaches. Reports rungs that contradict
// min_epochs or train.epochs, searched epochs, and a choice by the test part, which has no numbers before the end.
void resolve_rungs(Settings& settings, const GivenFields& given, const std::vector<Distribution>& space,
                   Diagnostics& diagnostics);

// Epochs that the trials of a search are trained for, if of each rung just 1 / reduction_factor go on, and without rungs.
struct ExpectedEpochs {
    std::int64_t with_rungs = 0;
    std::int64_t without = 0;
};
ExpectedEpochs expected_epochs(const Halving& halving, std::int64_t trials, std::int64_t epochs);

}  // namespace orchestrate
