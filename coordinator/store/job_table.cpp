#include "coordinator/store/job_table.h"

#include <utility>

namespace orchestrate {

const Job* JobTable::find(JobId job) const {
    const auto found = jobs_.find(job);
    return found == jobs_.end() ? nullptr : &found->second;
}

void JobTable::put(JobId id, Job as_stored) {
    const auto [entry, is_new] = jobs_.try_emplace(id);
    Job& job = entry->second;
    if (is_new) {
        job = std::move(as_stored);
        return;
    }
    as_stored.plan = job.plan;
    if (as_stored.title.empty()) {
        as_stored.title = std::move(job.title);
    }
    const JobState before = job.state;
    job = std::move(as_stored);
    if (before != job.state) {
        tell(id, before, job.state);
    }
}

std::optional<JobTransition> JobTable::apply(JobId id, JobEvent event) {
    Job& job = jobs_.at(id);
    const auto transition = find_transition(job.state, event);
    if (!transition) {
        return std::nullopt;
    }
    job.state = transition->to;
    if (transition->clears_failures) {
        job.failures = 0;
    } else if (transition->counts_as_failure) {
        ++job.failures;
    }
    if (transition->from != transition->to) {
        tell(id, transition->from, transition->to);
    }
    return transition;
}

// What an observer does may end another one's observation, or begin one.
void JobTable::tell(JobId job, JobState before, JobState now) const {
    for (std::size_t i = 0; i < observers_.size(); ++i) {  // NOLINT(modernize-loop-convert)
        observers_[i]->job_changed(job, before, now);
    }
}

}  // namespace orchestrate
