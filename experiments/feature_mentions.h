// Every column that a variant of a study may write into its text, and where the study names it.
#pragma once

#include <vector>

#include "experiments/data_checks.h"
#include "experiments/study.h"
#include "experiments/study_plan.h"

namespace orchestrate {

// The space of the search and the ablations must stand in `plan` already.
std::vector<ColumnMention> feature_mentions(const GivenFields& given, const Study::Plan& plan);

}  // namespace orchestrate
