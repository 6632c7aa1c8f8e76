// Finds places (workers, or sites) on which jobs fail that succeed elsewhere: a broken GPU, a full /tmp, a missing
// library. The evidence is the same job: that others succeed elsewhere says nothing about a place, since jobs differ by
// their parameters. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/job/attempt.h"
#include "common/job/ids.h"

namespace orchestrate {

struct BadPlace {
    std::string place;
    std::vector<JobId> jobs;  // that failed there in a row
};

class WorkerHealth {
  public:
    static constexpr std::size_t kFailuresInARow = 3;

    // An attempt of a job has ended at a place. The places that are to be used no more: no job has succeeded there since
    // kFailuresInARow different ones ended with worker_crashed or user_error, and each of these has succeeded elsewhere
    // since. A job is returned with one place at most.
    std::vector<BadPlace> ended(const std::string& place, JobId job, Cause cause);

    // The place is gone.
    void forget(const std::string& place);

  private:
    void succeeded(const std::string& place, JobId job, std::vector<BadPlace>& bad);

    // Of the jobs that failed in a row at a place: whether they have succeeded elsewhere since.
    std::map<std::string, std::map<JobId, bool>> failures_;
    std::map<JobId, std::set<std::string>> failed_at_;  // the same by job
    std::set<JobId> returned_;
};

}  // namespace orchestrate
