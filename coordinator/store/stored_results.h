// The rows of one attempt's epochs and result.
#pragma once

#include <string>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>

#include "common/job/ids.h"
#include "common/protocol/messages.h"
#include "coordinator/database/sql.h"

namespace orchestrate {

// The epochs of a job, in order, with those metrics that are kept.
std::vector<EpochMetrics> stored_epochs(StoreDatabase& database, JobId job);

// All inside a transaction.
// Removes what earlier attempts reported for that epoch and later ones: the attempt reports them again.
void forget_later_epochs(StoreDatabase& database, const AttemptId& attempt, std::int64_t first_epoch);
// Removes the epochs after one that an attempt resumes from.
void forget_epochs_after(StoreDatabase& database, JobId job, std::int64_t last_epoch);
void store_epoch(StoreDatabase& database, const AttemptId& attempt, const EpochMetrics& metrics);
void store_result(StoreDatabase& database, const AttemptId& attempt, const AttemptResult& result);
// The metrics of a result, and what it says of each class and row of the test part. Of an ensemble's job, all it has.
void store_measurements(StoreDatabase& database, JobId job, const AttemptResult& result);

}  // namespace orchestrate
