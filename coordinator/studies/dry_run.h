// What `run` would do with a study now, by what the database knows: for `plan`, and for what `run` says before it begins.
#pragma once

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>

#include "coordinator/store/job_states.h"
#include "experiments/expansion/study.h"
#include "experiments/plan.h"

namespace orchestrate {

struct DryRun {
    std::vector<PlannedStage> stages;  // as those of the study
    // States of the database's jobs by identity, as they would be once the study has begun: of this study's, `succeeded`
    // and `paused` are not run, whatever waits is.
    std::unordered_map<std::string, JobState> states;
    std::unordered_set<std::string> known;  // identities of jobs that the database had before
};

// Runs the study, without workers, over a copy in memory of what the database has of studies and results, as far as it
// gets. Stages behind jobs that are still to be run are planned by the results there are so far
// (PlannedStage::is_certain). The database is only read. Throws StudyError if a stage cannot be made of its baseline.
DryRun dry_run(const Study& study, SQLite::Database& database);

}  // namespace orchestrate
