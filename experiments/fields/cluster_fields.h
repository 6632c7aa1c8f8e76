// The fields of [cluster], and what they must not contradict; internal to experiments/.
#pragma once

#include "experiments/fields/fields.h"

namespace orchestrate {

std::vector<Field> cluster_fields();

// Reports what cannot be had on the cluster that the study names, and warns of jobs that outlive a pilot.
void check_cluster(const Settings& settings, const GivenFields& given, Diagnostics& diagnostics);

}  // namespace orchestrate
