// [stages.NAME]: stages after the search and the ablation, which start from the best of an earlier one or go on with its
// rows; internal to experiments/.
#pragma once

#include "experiments/expansion/study.h"
#include "experiments/fields/fields.h"

namespace orchestrate {

// Reads `stages`, which come after `earlier`, in order of the file. Reports unknown keys and stages that are not
// there or come later; warns of choices by the part that is reported.
std::vector<Stage> read_stages(const Value& section, const std::vector<Stage>& earlier,
                               const Settings& settings, Diagnostics& diagnostics);

// Why a choice by the test part misleads.
std::string selection_warning(const std::string& what);

}  // namespace orchestrate
