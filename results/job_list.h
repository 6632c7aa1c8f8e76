// What `orchestrate jobs` and `orchestrate job` show, read from the database.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include "common/protocol/control_messages.h"

namespace orchestrate {

// Jobs in the order of studies, stages and variants; one that several variants share appears once, with the first of
// them. Throws UserError if there is no such study or state, with the nearest name.
JobsReply list_jobs(SQLite::Database& database, const JobsRequest& wanted);

// Throws UserError if there is no such job.
JobDetails describe_job(SQLite::Database& database, const std::string& typed);

// Jobs of a study's shown variants in one of these states (JSON array of names). `only_its_own`: without those that
// another study, which has not ended, shows too.
std::vector<std::int64_t> jobs_of_study(SQLite::Database& database, std::int64_t study,
                                        const std::string& states, bool only_its_own);

// Names of the studies that show a job, in the order in which they came.
std::vector<std::string> studies_of_job(SQLite::Database& database, std::int64_t job);

}  // namespace orchestrate
