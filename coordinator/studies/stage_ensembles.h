// The ensembles of a stage, once the jobs of it and of those before it are done.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/job/ids.h"
#include "coordinator/store/job_store.h"
#include "experiments/expansion/study.h"

namespace orchestrate {

// Finds the members among `variants_of` (by stage, those that were run), computes what is not there yet and stores it.
// Returns what to tell the user. Errors: those of JobStore.
std::vector<std::string> compute_ensembles(JobStore& store, const Study& study, StudyId study_row,
                                           const Stage& stage,
                                           const std::map<std::string, std::vector<Variant>>& variants_of);

}  // namespace orchestrate
