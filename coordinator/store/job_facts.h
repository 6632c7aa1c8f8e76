// What the coordinator knows of a job that a worker's reports about it must agree with.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/job/ids.h"
#include "common/protocol/message_checks.h"
#include "coordinator/database/sql.h"

namespace orchestrate {

struct JobFacts {
    bool is_command = false;
    std::int64_t epochs = 0;           // of a training
    std::int64_t ranks = 0;            // of the current attempt's worker; 0: not known
    std::string data_sha256;           // of a training's data
    std::vector<std::string> metrics;  // as JobResources::metrics
};

// Of a job that exists. Throws SQLite::Exception.
JobFacts read_job_facts(StoreDatabase& database, JobId job);

// Why a report cannot be about that job; nothing: it can. The report's fields are in their ranges (validate()).
std::optional<Refusal> validate_for_job(const EpochMetrics& metrics, const JobFacts& facts);
std::optional<Refusal> validate_for_job(const AttemptEnded& ended, const JobFacts& facts);

// A model is stored where workers are told to store it: below `models_folder`, in a directory named by its hash.
std::optional<Refusal> validate_model(const SavedModel& model, const std::string& models_folder);

}  // namespace orchestrate
