// Every column that a variant of a study may write into its text, and where the study names it.
#pragma once

#include <vector>

#include "experiments/checks/data_checks.h"
#include "experiments/expansion/study.h"
#include "experiments/expansion/study_plan.h"

namespace orchestrate {

// The space of the search and the ablations must stand in `plan` already.
std::vector<ColumnMention> feature_mentions(const GivenFields& given, const Study::Plan& plan);

}  // namespace orchestrate
