// What the split of a study makes of its data, checked before anything starts.
#pragma once

#include "common/data/dataset.h"
#include "experiments/fields/fields.h"
#include "experiments/syntax/diagnostics.h"

namespace orchestrate {

// Reports fields of [data.split] that data.split.column leaves no place for. To be called before the data is read.
void check_split_column(const Settings& settings, const GivenFields& given, Diagnostics& diagnostics);

// Splits the rows as the study's jobs will (of many folds and repeats only the first ones) and reports parts without
// rows and classes that the training part lacks; warns of classes that another part lacks. `elsewhere`: the place of
// what no field of [data.split] is to blame for.
void check_splits(const Dataset& dataset, const Settings& settings, const GivenFields& given,
                  const SourceSpan& elsewhere, Diagnostics& diagnostics);

}  // namespace orchestrate
