#include "coordinator/dispatch/worker_health.h"

#include <algorithm>

namespace orchestrate {

std::vector<BadPlace> WorkerHealth::ended(const std::string& place, JobId job, Cause cause) {
    std::vector<BadPlace> bad;
    if (cause == Cause::succeeded) {
        succeeded(place, job, bad);
    } else if (cause == Cause::worker_crashed || cause == Cause::user_error) {
        failures_[place][job] = false;
        failed_at_[job].insert(place);
    }
    return bad;
}

void WorkerHealth::succeeded(const std::string& place, JobId job, std::vector<BadPlace>& bad) {
    forget(place);
    const auto found = failed_at_.find(job);
    if (found == failed_at_.end()) {
        return;
    }
    const std::set<std::string> places = found->second;
    for (const auto& other : places) {
        auto& row = failures_.at(other);
        row.at(job) = true;
        const auto proven =
            std::count_if(row.begin(), row.end(), [](const auto& entry) { return entry.second; });
        if (static_cast<std::size_t>(proven) < kFailuresInARow) {
            continue;
        }
        BadPlace found_bad{other, {}};
        for (const auto& [failed, elsewhere] : row) {
            if (returned_.insert(failed).second) {
                found_bad.jobs.push_back(failed);
            }
        }
        bad.push_back(std::move(found_bad));
        forget(other);
    }
}

void WorkerHealth::forget(const std::string& place) {
    const auto found = failures_.find(place);
    if (found == failures_.end()) {
        return;
    }
    for (const auto& [job, elsewhere] : found->second) {
        const auto places = failed_at_.find(job);
        places->second.erase(place);
        if (places->second.empty()) {
            failed_at_.erase(places);
        }
    }
    failures_.erase(found);
}

}  // namespace orchestrate
