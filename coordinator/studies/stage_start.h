// What a stage of a study starts from, chosen by the results of earlier stages: for the study that runs and for `plan`.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "coordinator/store/job_store.h"
#include "experiments/expansion/study.h"

namespace orchestrate {

using VariantsOfStages = std::map<std::string, std::vector<Variant>>;

struct StageStart {
    std::vector<Variant> variants;
    std::vector<std::string> notes;  // what was chosen, for users
};

// The stage beside the best of its baseline's stage, with the chosen rows of an earlier one, by what the store has of them
// now. `earlier`: the variants of the stages before, as the store has them. No variants if no run of the baseline's stage
// has succeeded; the note says it. Throws StudyError if the stage cannot be made of that baseline, and what JobStore throws.
StageStart start_of_stage(const Study& study, const Stage& stage, std::int64_t study_row,
                          const VariantsOfStages& earlier, JobStore& store);

}  // namespace orchestrate
