// Which row goes to which part of the data.
#pragma once

#include <vector>

#include "common/data/dataset.h"
#include "common/job/attempt.h"

namespace orchestrate {

// The part of each row. Groups are placed one after another, the largest first and equally large ones in an
// order given by (seed, line of their first row) alone; each goes where it makes the sum over parts and
// classes of (rows - wanted)^2 / wanted smallest, all rows together counting as one more class (without
// stratification: as the only one); of equal parts the first. With folds, the groups are placed into so many
// parts of equal size first, fold `fold` of them is the test part, and the groups of the others are placed into
// train and validation; so every row is tested in exactly one fold. So rows equal in their group stay together,
// parts have their share of each class as far as groups allow, and the result is the same on every machine.
// With SplitConfig::column the parts are those that the data names (Dataset::part).
// Throws UserError for fractions that are negative or do not add up to 1, for a part with a fraction above 0 that gets
// no row, and for named parts of which one has no row or two have rows of the same group.
std::vector<DataPart> split_rows(const Dataset& dataset, const SplitConfig& config);

// The classes that have no row in a part that has any; parts in which every class has one are not listed.
std::vector<AbsentClasses> absent_classes(const Dataset& dataset, const std::vector<DataPart>& parts);

}  // namespace orchestrate
