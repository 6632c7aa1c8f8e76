// What `orchestrate jobs` and `orchestrate job` show, read from the database.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <unordered_set>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>

#include "common/job/ids.h"
#include "common/protocol/client_messages.h"

namespace orchestrate {

// Jobs in the order of studies, stages and variants; one that several variants share appears once, with the first of
// them. Throws UserError if there is no such study or state, with the nearest name.
JobsReply list_jobs(SQLite::Database& database, const JobsRequest& wanted);

// Throws UserError if there is no such job.
JobDetails describe_job(SQLite::Database& database, const std::string& typed);

// Goes through the jobs of a study's shown variants a slice at a time, since there may be a million. What changes between
// the slices is seen as it is when its slice is read. Not thread-safe.
class JobsOfStudy {
  public:
    struct Job {
        JobId id;
        std::string state;
        bool is_its_own = true;  // no other study, which has not ended, shows it too
    };
    JobsOfStudy(SQLite::Database& database, StudyId study);

    // The jobs of the next `max_rows` rows, of variants or their jobs; each job once.
    std::vector<Job> next(SQLite::Database& database, std::size_t max_rows);
    bool is_done() const { return place_ == variants_.size(); }

  private:
    StudyId study_;
    std::vector<std::int64_t> variants_;
    std::size_t place_ = 0;
    std::int64_t last_seed_index_ = std::numeric_limits<std::int64_t>::min();  // of that variant
    std::unordered_set<JobId> seen_;
};

// Names of the studies that show a job, in the order in which they came.
std::vector<std::string> studies_of_job(SQLite::Database& database, JobId job);

}  // namespace orchestrate
