// What a stage of a study starts from, chosen by the results of earlier stages: for the study that runs and for `plan`.
#pragma once

#include <atomic>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/job/ids.h"
#include "coordinator/store/job_store.h"
#include "experiments/expansion/study.h"

namespace orchestrate {

using VariantsOfStages = std::map<std::string, std::vector<Variant>>;

struct StageStart {
    std::optional<JobConfig>
        baseline;                    // nothing: no run of the baseline's stage has succeeded; a note says it
    std::vector<Variant> rows;       // of an earlier stage, that the stage goes on with
    std::vector<std::string> notes;  // what was chosen, for users
};

// The best of the stage's baseline's stage and the chosen rows of an earlier one, by what the database has of them now.
// `earlier`: the variants of the stages before, as the database has them. Reads every result of those two stages.
StageStart start_of_stage(const Study& study, const Stage& stage, StudyId study_row,
                          const VariantsOfStages& earlier, SQLite::Database& database);
// The same of the store, with all changes written. Throws what JobStore throws.
StageStart start_of_stage(const Study& study, const Stage& stage, StudyId study_row,
                          const VariantsOfStages& earlier, JobStore& store);

// The stage's variants; none without a baseline. Takes seconds for 100,000 of them, and needs nothing but the study: any thread
// may do it. Throws StudyError if the stage cannot be made of that baseline. `abandoned`: as Study::expand.
std::vector<Variant> variants_of_stage(const Study& study, const Stage& stage, const StageStart& start,
                                       const std::atomic<bool>* abandoned = nullptr);

}  // namespace orchestrate
