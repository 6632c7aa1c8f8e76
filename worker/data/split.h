// Which row goes to which part, and what the parts still have in common.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/attempt.h"
#include "common/dataset.h"

namespace orchestrate {

enum class DataPart { train, validation, test };
BOOST_DESCRIBE_ENUM(DataPart, train, validation, test)

// The part of each row. Groups are placed one after another, the largest first and equally large ones in an
// order given by (seed, line of their first row) alone; each goes where it makes the sum over parts and
// classes of (rows - wanted)^2 / wanted smallest, all rows together counting as one more class (without
// stratification: as the only one); of equal parts the first. With folds, the groups are placed into so many
// parts of equal size first, fold `fold` of them is the test part, and the groups of the others are placed into
// train and validation; so every row is tested in exactly one fold. So rows equal in their group stay together,
// parts have their share of each class as far as groups allow, and the result is the same on every machine.
// Throws UserError for fractions that are negative or do not add up to 1, and for a part with a fraction
// above 0 that gets no row.
std::vector<DataPart> split_rows(const Dataset& dataset, const SplitConfig& config);

// Rows of validation and test that are also found in train: by group (if rows are grouped), by all of their
// features, and by text. `texts` has one entry per row. One Leak for each part that has rows and each kind,
// also if it is 0.
std::vector<Leak> find_leaks(const Dataset& dataset, const std::vector<DataPart>& parts,
                             const std::vector<std::string>& texts);

}  // namespace orchestrate
