#include "coordinator/dispatch/progress_watch.h"

namespace orchestrate {

void ProgressWatch::begin(const std::string& worker, Time now) {
    attempts_[worker] = {0, now, now};
}

void ProgressWatch::counted(const std::string& worker, std::int64_t advances, Time now) {
    const auto found = attempts_.find(worker);
    if (found == attempts_.end()) {
        return;
    }
    found->second.seen = now;
    if (found->second.advances != advances) {
        found->second = {advances, now, now};
    }
}

void ProgressWatch::advanced(const std::string& worker, Time now) {
    if (const auto found = attempts_.find(worker); found != attempts_.end()) {
        found->second.since = now;
        found->second.seen = now;
    }
}

void ProgressWatch::end(const std::string& worker) {
    attempts_.erase(worker);
}

std::vector<std::string> ProgressWatch::overdue() const {
    std::vector<std::string> workers;
    for (const auto& [worker, attempt] : attempts_) {
        if (limit_.count() > 0 && attempt.seen - attempt.since > limit_) {
            workers.push_back(worker);
        }
    }
    return workers;
}

}  // namespace orchestrate
