// Jobs as text for users and programs.
#pragma once

#include <cstddef>
#include <string>

#include <SQLiteCpp/SQLiteCpp.h>

#include "common/protocol/client_messages.h"
#include "results/tables.h"

namespace orchestrate {

// One line per job. `max_width`: terminal columns; 0: no limit.
std::string render_jobs(const JobsReply& jobs, std::size_t max_width, OutputFormat format);

// What it is, how it differs from its baseline, its attempts and metrics.
std::string render_job(const JobDetails& job, std::size_t max_width);

// Throws UserError as render_comparison, and if the database holds no study.
std::string table_text(SQLite::Database& database, const TableRequest& wanted);

}  // namespace orchestrate
