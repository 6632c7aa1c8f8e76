#include "coordinator/worker_health.h"

#include <algorithm>
#include <utility>

namespace orchestrate {

std::vector<std::int64_t> WorkerHealth::ended(const std::string& place, std::int64_t job, std::int64_t study,
                                              Cause cause) {
    ++ends_;
    if (cause == Cause::succeeded) {
        failures_.erase(place);
        successes_[study][place] = ends_;
        return {};
    }
    if ((cause != Cause::worker_crashed && cause != Cause::user_error) || tried_elsewhere_.contains(job)) {
        return {};
    }
    auto& row = failures_[place];
    if (std::none_of(row.begin(), row.end(), [&](const Failure& failure) { return failure.job == job; })) {
        row.push_back({job, study, ends_});
    }
    const bool others_do_well = std::any_of(row.begin(), row.end(), [&](const Failure& failure) {
        const auto& of_study = successes_[failure.study];
        return std::any_of(of_study.begin(), of_study.end(), [&](const auto& success) {
            return success.first != place && success.second > row.front().at;
        });
    });
    if (row.size() < kFailuresInARow || !others_do_well) {
        return {};
    }
    std::vector<std::int64_t> jobs;
    for (const auto& failure : row) {
        jobs.push_back(failure.job);
        tried_elsewhere_.insert(failure.job);
    }
    failures_.erase(place);
    return jobs;
}

}  // namespace orchestrate
