#include "coordinator/progress_watch.h"

namespace orchestrate {

void ProgressWatch::begin(const std::string& worker, Time now) {
    attempts_[worker] = {0, now};
}

void ProgressWatch::counted(const std::string& worker, std::int64_t advances, Time now) {
    const auto found = attempts_.find(worker);
    if (found != attempts_.end() && found->second.advances != advances) {
        found->second = {advances, now};
    }
}

void ProgressWatch::advanced(const std::string& worker, Time now) {
    if (const auto found = attempts_.find(worker); found != attempts_.end()) {
        found->second.since = now;
    }
}

void ProgressWatch::end(const std::string& worker) {
    attempts_.erase(worker);
}

std::vector<std::string> ProgressWatch::overdue(Time now) const {
    std::vector<std::string> workers;
    for (const auto& [worker, attempt] : attempts_) {
        if (limit_.count() > 0 && now - attempt.since > limit_) {
            workers.push_back(worker);
        }
    }
    return workers;
}

}  // namespace orchestrate
