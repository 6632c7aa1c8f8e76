// Where the logs of a job lie: behind `orchestrate logs JOB`.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>

#include "common/protocol/client_messages.h"

namespace orchestrate {

struct AttemptLog {
    int attempt = 0;  // 1, 2, ...
    std::string worker;
    std::string cause;           // why it ended; empty: it runs
    std::filesystem::path file;  // may no longer exist
};

// Where a log is now whose path was stored when it was written: of a database that was moved or copied together with its
// directory, in that directory.
std::string present_log(SQLite::Database& database, const std::string& stored);

// The log files of a job's attempts, newest last, never empty. `job` is what a user typed: the number of a
// job or the first characters (4 or more) of its identity. Throws UserError if there is no such job (saying
// which there are), if several match, or if it has no log yet.
std::vector<AttemptLog> find_job_logs(SQLite::Database& database, const std::string& job);

// A piece of the log of one attempt, if this host sees the file. Throws UserError as find_job_logs, if the job has no
// such attempt, or if the file cannot be read here.
LogReply read_log(SQLite::Database& database, const LogRequest& wanted);

}  // namespace orchestrate
