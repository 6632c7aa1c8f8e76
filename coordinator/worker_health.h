// Finds places (workers, or sites) on which everything fails that succeeds elsewhere: a broken GPU, a full /tmp, a missing
// library. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/attempt.h"

namespace orchestrate {

class WorkerHealth {
  public:
    static constexpr std::size_t kFailuresInARow = 3;

    // An attempt of a job has ended there. If the place is to be used no more, the jobs that failed there in a row:
    // kFailuresInARow different ones of worker_crashed or user_error, while a job of one of their studies has succeeded
    // elsewhere since the first of these failures. Otherwise none.
    // A job that is returned here is held against no other place: it may be to blame after all.
    std::vector<std::int64_t> ended(const std::string& place, std::int64_t job, std::int64_t study,
                                    Cause cause);

    // The place is gone.
    void forget(const std::string& place) { failures_.erase(place); }

  private:
    struct Failure {
        std::int64_t job = 0;
        std::int64_t study = 0;
        std::int64_t at = 0;  // number of the end
    };
    std::int64_t ends_ = 0;
    std::map<std::string, std::vector<Failure>> failures_;  // in a row, by place
    std::map<std::int64_t, std::map<std::string, std::int64_t>>
        successes_;  // by study and place: the last one
    std::set<std::int64_t> tried_elsewhere_;
};

}  // namespace orchestrate
