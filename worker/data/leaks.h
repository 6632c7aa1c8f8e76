// What the parts of the data still have in common.
#pragma once

#include <string>
#include <vector>

#include "common/data/dataset.h"
#include "common/job/attempt.h"

namespace orchestrate {

// Rows of validation and test that are also found in train: by group (if rows are grouped), by all of their
// features, and by text. `texts` has one entry per row. One Leak for each part that has rows and each kind,
// also if it is 0.
std::vector<Leak> find_leaks(const Dataset& dataset, const std::vector<DataPart>& parts,
                             const std::vector<std::string>& texts);

}  // namespace orchestrate
