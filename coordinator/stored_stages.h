// The rows of a study's stages: their variants, and the jobs they share.
#pragma once

#include <cstdint>
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

// JobStore::sync_stage.
std::vector<StoredJob> write_stage(StoreDatabase& database, std::int64_t study, int position,
                                   const Stage& stage, const std::vector<Variant>& variants,
                                   const JobPaths& paths, OldFailures old_failures);

}  // namespace orchestrate
