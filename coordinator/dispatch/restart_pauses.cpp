#include "coordinator/dispatch/restart_pauses.h"

#include <algorithm>

namespace orchestrate {

void RestartPauses::asked_again(JobId id, std::chrono::duration<double> ran, Time now) {
    if (ran >= kLongAttempt) {
        jobs_.erase(id);
        return;
    }
    Job& job = jobs_[id];
    job.pause = std::clamp(2 * job.pause, kFirstPause, kLongestPause);
    job.until = now + job.pause;
}

bool RestartPauses::rests(JobId id) const {
    const auto found = jobs_.find(id);
    return found != jobs_.end() && found->second.until;
}

std::optional<std::chrono::seconds> RestartPauses::left(JobId id, Time now) const {
    return rests(id) ? std::optional(std::max(
                           kFirstPause, std::chrono::ceil<std::chrono::seconds>(*jobs_.at(id).until - now)))
                     : std::nullopt;
}

std::vector<JobId> RestartPauses::take_over(Time now) {
    std::vector<JobId> over;
    for (auto& [id, job] : jobs_) {
        if (job.until && now >= *job.until) {
            job.until.reset();
            over.push_back(id);
        }
    }
    return over;
}

}  // namespace orchestrate
