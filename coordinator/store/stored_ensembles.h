// The rows of a stage's ensembles: their variants, and jobs whose results are computed from those of their members.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/job/ids.h"
#include "coordinator/database/sql.h"
#include "experiments/expansion/ensembles.h"

namespace orchestrate {

// An ensemble whose members are known.
struct KnownEnsemble {
    Ensemble ensemble;
    std::vector<EnsembleRun> runs;
    std::string why_no_run = {};  // of one without runs; empty: its members have no run in common
};

// Writes the ensembles behind the stage's variants and shows them. A result that is there already, of the same members, is
// kept; one that cannot be computed has no job. Inside a transaction. Returns what could not be computed, in
// sentences for users.
std::vector<std::string> write_ensembles(StoreDatabase& database, StudyId study, const std::string& stage,
                                         const std::vector<KnownEnsemble>& ensembles);

}  // namespace orchestrate
