// How many jobs of a set are in which state, kept up to date change by change: to count 100,000 jobs anew after each
// of them would cost more than to run them. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_set>

#include "common/job/ids.h"
#include "coordinator/store/job_states.h"

namespace orchestrate {

class JobCounts {
  public:
    void add(JobId job, JobState state) {
        if (jobs_.insert(job).second) {
            ++counts_.at(index(state));
        }
    }

    // Ignored for a job that was not added.
    void change(JobId job, JobState before, JobState now) {
        if (jobs_.contains(job)) {
            --counts_.at(index(before));
            ++counts_.at(index(now));
        }
    }

    std::int64_t all() const { return static_cast<std::int64_t>(jobs_.size()); }
    std::int64_t in(JobState state) const { return counts_.at(index(state)); }
    bool contains(JobId job) const { return jobs_.contains(job); }

    std::int64_t unfinished() const { return in(JobState::waiting) + in(JobState::running); }
    // A job that a user cancelled has not failed.
    std::int64_t failed() const { return in(JobState::failed) + in(JobState::quarantined); }

    const std::unordered_set<JobId>& jobs() const { return jobs_; }

  private:
    static std::size_t index(JobState state) { return static_cast<std::size_t>(state); }

    std::unordered_set<JobId> jobs_;
    std::array<std::int64_t, boost::mp11::mp_size<boost::describe::describe_enumerators<JobState>>::value>
        counts_{};
};

}  // namespace orchestrate
