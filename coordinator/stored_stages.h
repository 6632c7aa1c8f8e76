// The rows of a study's stages: their variants, and the jobs they share.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>

#include "coordinator/job_store.h"
#include "coordinator/sql.h"

namespace orchestrate {

// All inside a transaction.

// The variants of stages that the study no longer has are hidden.
void hide_stages_beside(StoreDatabase& database, std::int64_t study, const std::vector<Stage>& stages);

// Cancels waiting jobs that no shown variant of any study has.
void cancel_unnamed_jobs(StoreDatabase& database);

// What becomes of known jobs that have ended without a result.
struct FailedBefore {
    OldFailures old_failures = OldFailures::ask_again;
    const std::set<std::int64_t>& failed_meanwhile;  // these stay as they are
};

// JobStore::sync_stage.
std::vector<StoredJob> write_stage(StoreDatabase& database, std::int64_t study, int position,
                                   const Stage& stage, const std::vector<Variant>& variants,
                                   const JobPaths& paths, const FailedBefore& failed_before);

}  // namespace orchestrate
