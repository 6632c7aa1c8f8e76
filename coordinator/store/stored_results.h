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
// Removes what earlier attempts of a command reported for that epoch and later ones: the attempt reports them again.
void forget_named_epochs(StoreDatabase& database, const AttemptId& attempt, std::int64_t first_epoch);
void store_epoch(StoreDatabase& database, const AttemptId& attempt, const EpochMetrics& metrics);
void store_result(StoreDatabase& database, const AttemptId& attempt, const AttemptResult& result);
// What a result says of the test part; of an ensemble's job, all it has.
void store_test_part(StoreDatabase& database, JobId job, const AttemptResult& result);

}  // namespace orchestrate
