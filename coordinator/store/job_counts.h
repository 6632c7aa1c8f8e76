// How many jobs of a set are in which state, kept up to date change by change: to count 100,000 jobs anew after each
// of them would cost more than to run them. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "coordinator/store/job_states.h"

namespace orchestrate {

class JobCounts {
  public:
    void add(std::int64_t job, JobState state) {
        if (states_.emplace(job, state).second) {
            ++counts_.at(index(state));
        }
    }

    // Ignored for a job that was not added.
    void update(std::int64_t job, JobState state) {
        if (const auto found = states_.find(job); found != states_.end()) {
            --counts_.at(index(found->second));
            found->second = state;
            ++counts_.at(index(state));
        }
    }

    std::int64_t all() const { return static_cast<std::int64_t>(states_.size()); }
    std::int64_t in(JobState state) const { return counts_.at(index(state)); }
    bool contains(std::int64_t job) const { return states_.contains(job); }

    std::int64_t unfinished() const { return in(JobState::waiting) + in(JobState::running); }
    // A job that a user cancelled has not failed.
    std::int64_t failed() const { return in(JobState::failed) + in(JobState::quarantined); }

    // In no order.
    std::vector<std::int64_t> jobs() const {
        std::vector<std::int64_t> ids;
        ids.reserve(states_.size());
        for (const auto& [job, state] : states_) {
            ids.push_back(job);
        }
        return ids;
    }

  private:
    static std::size_t index(JobState state) { return static_cast<std::size_t>(state); }

    std::unordered_map<std::int64_t, JobState> states_;
    std::array<std::int64_t, boost::mp11::mp_size<boost::describe::describe_enumerators<JobState>>::value>
        counts_{};
};

}  // namespace orchestrate
