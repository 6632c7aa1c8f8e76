#include "coordinator/scheduler.h"

#include <algorithm>

namespace orchestrate {

void Scheduler::add_site(const std::string& site, int slots) {
    sites_[site] = {slots, 0, false};
}

void Scheduler::remove_site(const std::string& site) {
    sites_.erase(site);
}

void Scheduler::add_job(std::int64_t job, int ranks, int priority) {
    remove_job(job);
    const QueueKey key{priority, -ranks, job};
    keys_[job] = key;
    waiting_.insert(key);
}

void Scheduler::remove_job(std::int64_t job) {
    if (const auto found = keys_.find(job); found != keys_.end()) {
        waiting_.erase(found->second);
        keys_.erase(found);
    }
}

void Scheduler::worker_expected(const std::string& worker, const std::string& site, int ranks) {
    workers_[worker] = {site, ranks, WorkerState::expected, 0};
}

void Scheduler::worker_ready(const std::string& worker, const std::string& site, int ranks) {
    workers_[worker] = {site, ranks, WorkerState::idle, 0};
    if (const auto found = sites_.find(site); found != sites_.end()) {
        found->second.start_failures = 0;
    }
}

void Scheduler::worker_busy(const std::string& worker, const std::string& site, int ranks, std::int64_t job) {
    workers_[worker] = {site, ranks, WorkerState::busy, job};
    remove_job(job);
}

void Scheduler::worker_leaving(const std::string& worker) {
    if (const auto found = workers_.find(worker); found != workers_.end()) {
        found->second.state = WorkerState::retiring;
    }
}

void Scheduler::attempt_ended(const std::string& worker) {
    if (const auto found = workers_.find(worker); found != workers_.end()) {
        found->second.job = 0;
        if (found->second.state == WorkerState::busy) {
            found->second.state = WorkerState::idle;
        }
    }
}

void Scheduler::worker_gone(const std::string& worker) {
    const auto found = workers_.find(worker);
    if (found == workers_.end()) {
        return;
    }
    const auto site = sites_.find(found->second.site);
    if (found->second.state == WorkerState::starting && site != sites_.end()) {
        ++site->second.start_failures;
    }
    workers_.erase(found);
}

int Scheduler::free_slots(const std::string& site) const {
    int free = sites_.at(site).slots;
    for (const auto& [name, worker] : workers_) {
        if (worker.site == site) {
            free -= worker.ranks;
        }
    }
    return free;
}

std::optional<std::string> Scheduler::idle_worker(int ranks,
                                                  const std::set<std::string>& reserved_sites) const {
    for (const auto& [name, worker] : workers_) {
        if (worker.state == WorkerState::idle && worker.ranks == ranks &&
            !reserved_sites.contains(worker.site)) {
            return name;
        }
    }
    return std::nullopt;
}

std::vector<SchedulerAction> Scheduler::next_actions() {
    std::vector<SchedulerAction> actions;
    for (auto& [name, site] : sites_) {
        if (!site.broken && site.start_failures >= kMaximumStartFailures) {
            site.broken = true;
            actions.emplace_back(SiteBroken{name});
        }
    }
    std::set<std::string> reserved_sites;  // a wider job waits for their slots
    std::map<int, int> coming;             // workers on their way, by width
    for (const auto& [name, worker] : workers_) {
        if (worker.state == WorkerState::starting || worker.state == WorkerState::expected) {
            ++coming[worker.ranks];
        }
    }
    for (auto next = waiting_.begin(); next != waiting_.end();) {
        const auto [priority, negative_ranks, job] = *next;
        const int ranks = -negative_ranks;
        if (const auto worker = idle_worker(ranks, reserved_sites)) {
            workers_[*worker].state = WorkerState::busy;
            workers_[*worker].job = job;
            actions.emplace_back(AssignJob{job, *worker});
            next = waiting_.erase(next);
            keys_.erase(job);
            continue;
        }
        ++next;
        if (coming[ranks] > 0) {
            --coming[ranks];
            continue;
        }
        std::optional<std::string> roomy;  // a site that could hold it if its idle workers went
        bool started = false;
        for (const auto& [name, site] : sites_) {
            if (site.broken || site.slots < ranks || reserved_sites.contains(name)) {
                continue;
            }
            if (free_slots(name) >= ranks) {
                const std::string worker = name + "-" + std::to_string(++started_workers_);
                workers_[worker] = {name, ranks, WorkerState::starting, 0};
                actions.emplace_back(StartWorkerAt{name, worker, ranks});
                started = true;
                break;
            }
            const bool has_other_width =
                std::any_of(workers_.begin(), workers_.end(), [&, &at = name](const auto& entry) {
                    return entry.second.site == at && entry.second.ranks != ranks;
                });
            if (has_other_width && !roomy) {
                roomy = name;
            }
        }
        if (started || !roomy) {
            continue;
        }
        reserved_sites.insert(*roomy);
        for (auto& [name, worker] : workers_) {
            if (worker.site == *roomy && worker.state == WorkerState::idle && worker.ranks != ranks) {
                worker.state = WorkerState::retiring;
                actions.emplace_back(RetireWorker{name});
            }
        }
    }
    return actions;
}

std::string Scheduler::why_waiting(std::int64_t job) const {
    const auto found = keys_.find(job);
    if (found == keys_.end()) {
        return "it does not wait";
    }
    const int ranks = -std::get<1>(found->second);
    const auto width = std::to_string(ranks) + (ranks == 1 ? " rank" : " ranks");
    if (sites_.empty()) {
        return "no machine or pilot is there yet";
    }
    const bool fits = std::any_of(sites_.begin(), sites_.end(),
                                  [&](const auto& entry) { return entry.second.slots >= ranks; });
    if (!fits) {
        return "it needs " + width + ", and no site has so many slots";
    }
    const bool sound = std::any_of(sites_.begin(), sites_.end(), [&](const auto& entry) {
        return entry.second.slots >= ranks && !entry.second.broken;
    });
    if (!sound) {
        return "workers do not come up where it would fit";
    }
    const auto ahead = std::distance(waiting_.begin(), waiting_.find(found->second));
    return "all workers of " + width + " are busy; " + std::to_string(ahead) + " jobs are ahead of it";
}

}  // namespace orchestrate
