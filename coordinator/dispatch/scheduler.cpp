#include "coordinator/dispatch/scheduler.h"

#include <algorithm>

#include "common/base/counted.h"

namespace orchestrate {

void Scheduler::unlist(const std::string& name, const Worker& worker) {
    used_slots_[worker.site] -= worker.shape.ranks;
    slots_of_shape_[{worker.site, worker.shape}] -= worker.shape.ranks;
    if (worker.state == WorkerState::starting || worker.state == WorkerState::expected) {
        --coming_[worker.shape];
    }
    by_load_[worker.shape].erase({worker.held.size(), name});
    for (const auto& held : worker.held) {
        studies_[held.study].ranks_in_use -= worker.shape.ranks;
    }
}

void Scheduler::list(const std::string& name, const Worker& worker) {
    used_slots_[worker.site] += worker.shape.ranks;
    slots_of_shape_[{worker.site, worker.shape}] += worker.shape.ranks;
    if (worker.state == WorkerState::starting || worker.state == WorkerState::expected) {
        ++coming_[worker.shape];
    }
    if (worker.state == WorkerState::ready && !worker.stalls && !worker.rests) {
        by_load_[worker.shape].insert({worker.held.size(), name});
    }
    for (const auto& held : worker.held) {
        studies_[held.study].ranks_in_use += worker.shape.ranks;
    }
}

template <class Change>
void Scheduler::change_worker(const std::string& name, Change change) {
    if (const auto found = workers_.find(name); found != workers_.end()) {
        unlist(name, found->second);
        change(found->second);
        list(name, found->second);
    }
}

void Scheduler::set_worker(const std::string& name, Worker worker) {
    if (const auto found = workers_.find(name); found != workers_.end()) {
        unlist(name, found->second);
    }
    stalling_.erase(name);
    list(name, workers_[name] = std::move(worker));
}

void Scheduler::add_site(const std::string& site, int slots) {
    sites_[site] = {slots};
}

void Scheduler::remove_site(const std::string& site) {
    sites_.erase(site);
}

void Scheduler::close_site(const std::string& site) {
    if (const auto found = sites_.find(site); found != sites_.end()) {
        found->second.closed = true;
    }
    for (const auto& [name, worker] : workers_) {
        if (worker.site == site) {
            worker_leaving(name);
        }
    }
}

bool Scheduler::is_closed(const std::string& site) const {
    const auto found = sites_.find(site);
    return found != sites_.end() && found->second.closed;
}

bool Scheduler::is_broken(const std::string& site) const {
    const auto found = sites_.find(site);
    return found != sites_.end() && found->second.broken && !found->second.closed;
}

bool Scheduler::has_sound_site() const {
    return std::any_of(sites_.begin(), sites_.end(),
                       [](const auto& entry) { return entry.second.is_sound(); });
}

void Scheduler::remove_slots(const std::string& site, int slots) {
    if (const auto found = sites_.find(site); found != sites_.end()) {
        found->second.slots -= slots;
    }
}

void Scheduler::add_job(const SchedulableJob& job) {
    remove_job(job.job);
    const Key key{job.study, {job.priority, -job.shape.ranks, job.shape.is_one_process}};
    keys_[job.job] = key;
    studies_[key.study].waiting[key.bucket].insert(job.job);
}

void Scheduler::remove_job(JobId job) {
    const auto found = keys_.find(job);
    if (found == keys_.end()) {
        return;
    }
    const auto [study, bucket] = found->second;
    auto& waiting = studies_.at(study).waiting;
    auto& jobs = waiting.at(bucket);
    jobs.erase(job);
    if (jobs.empty()) {
        waiting.erase(bucket);
    }
    keys_.erase(found);
}

bool Scheduler::is_idle(const Queue& study) {
    return study.waiting.empty() && study.ranks_in_use == 0 && !study.held;
}

void Scheduler::set_study_priority(StudyId study, int priority) {
    study_priorities_[study] = priority;
}

void Scheduler::hold_study(StudyId study, bool held) {
    studies_[study].held = held;
}

void Scheduler::set_prefetch(int ranks, int jobs) {
    prefetch_[ranks] = jobs;
}

void Scheduler::worker_expected(const std::string& worker, const std::string& site,
                                const WorkerShape& shape) {
    set_worker(worker, {site, shape, WorkerState::expected});
}

void Scheduler::worker_is_late(const std::string& worker) {
    change_worker(worker, [](Worker& starting) {
        if (starting.state == WorkerState::starting) {
            starting.state = WorkerState::late;
        }
    });
}

void Scheduler::worker_ready(const std::string& worker, const std::string& site, const WorkerShape& shape,
                             int capacity, const std::vector<SchedulableJob>& held) {
    Worker ready{site, shape, WorkerState::ready, capacity};
    for (const auto& job : held) {
        remove_job(job.job);
        ready.held.push_back({job.job, job.study});
    }
    if (is_closed(site)) {
        ready.state = WorkerState::retiring;
    }
    set_worker(worker, std::move(ready));
    if (const auto found = sites_.find(site); found != sites_.end()) {
        found->second.start_failures = 0;
        found->second.broken = false;
    }
}

void Scheduler::worker_leaving(const std::string& worker) {
    change_worker(worker, [](Worker& leaving) { leaving.state = WorkerState::retiring; });
}

void Scheduler::worker_stalls(const std::string& worker) {
    change_worker(worker, [](Worker& stalling) { stalling.stalls = true; });
    stalling_.insert(worker);
}

void Scheduler::rest_worker(const std::string& worker, bool rests) {
    change_worker(worker, [&](Worker& rested) { rested.rests = rests; });
}

void Scheduler::attempt_ended(const std::string& worker, JobId job) {
    change_worker(worker, [&](Worker& holder) {
        if (!holder.held.empty() && holder.held.front().job == job) {
            holder.stalls = false;
        }
        std::erase_if(holder.held, [&](const HeldJob& held) { return held.job == job; });
    });
    std::erase_if(studies_, [](const auto& entry) { return is_idle(entry.second); });
}

void Scheduler::worker_gone(const std::string& worker) {
    const auto found = workers_.find(worker);
    if (found == workers_.end()) {
        return;
    }
    const auto site = sites_.find(found->second.site);
    const bool never_connected =
        found->second.state == WorkerState::starting || found->second.state == WorkerState::late;
    if (never_connected && site != sites_.end()) {
        ++site->second.start_failures;
    }
    unlist(worker, found->second);
    stalling_.erase(worker);
    workers_.erase(found);
    std::erase_if(studies_, [](const auto& entry) { return is_idle(entry.second); });
}

int Scheduler::free_slots(const std::string& site) const {
    const auto used = used_slots_.find(site);
    return sites_.at(site).slots - (used == used_slots_.end() ? 0 : used->second);
}

const std::string* Scheduler::least_loaded(const WorkerShape& shape,
                                           const std::set<std::string>& reserved_sites) const {
    const auto workers = by_load_.find(shape);
    if (workers == by_load_.end()) {
        return nullptr;
    }
    const auto ahead = prefetch_.find(shape.ranks);
    const std::size_t most = ahead == prefetch_.end() ? 0 : static_cast<std::size_t>(ahead->second);
    for (const auto& [load, name] : workers->second) {
        if (load > most) {
            return nullptr;
        }
        const Worker& worker = workers_.at(name);
        if (load < static_cast<std::size_t>(worker.capacity) && !reserved_sites.contains(worker.site)) {
            return &name;
        }
    }
    return nullptr;
}

std::optional<std::pair<StudyId, Scheduler::Bucket>> Scheduler::next_bucket(const Round& round) const {
    std::optional<std::pair<StudyId, Bucket>> best;
    std::tuple<int, int, std::int64_t> least;
    for (const auto& [id, study] : studies_) {
        const auto priority = study_priorities_.find(id);
        const std::tuple use{priority == study_priorities_.end() ? 0 : -priority->second, study.ranks_in_use,
                             study.last_served};
        if (study.held || (best && use >= least)) {
            continue;
        }
        for (const auto& [bucket, jobs] : study.waiting) {
            if (!round.exhausted.contains({id, bucket})) {
                best = {id, bucket};
                least = use;
                break;
            }
        }
    }
    return best;
}

void Scheduler::assign(StudyId study, const Bucket& bucket, const std::string& worker, Round& round) {
    const JobId job = *studies_.at(study).waiting.at(bucket).begin();
    round.actions.emplace_back(AssignJob{job, worker});
    studies_.at(study).last_served = ++served_;
    change_worker(std::string(worker), [&](Worker& holder) { holder.held.push_back({job, study}); });
    remove_job(job);
}

void Scheduler::make_room(std::size_t jobs, const WorkerShape& shape, Round& round) {
    const int ranks = shape.ranks;
    const auto covered = std::min(jobs, static_cast<std::size_t>(std::max(0, round.coming[shape])));
    round.coming[shape] -= static_cast<int>(covered);
    jobs -= covered;
    if (jobs == 0) {
        return;
    }
    std::optional<std::string> roomy;  // a site that could hold it if its idle workers went
    for (const auto& [name, site] : sites_) {
        if (!site.is_sound() || site.slots < ranks || round.reserved_sites.contains(name)) {
            continue;
        }
        for (; jobs > 0 && free_slots(name) >= ranks; --jobs) {
            const std::string worker = name + "-" + std::to_string(++started_workers_);
            set_worker(worker, {name, shape, WorkerState::starting});
            round.actions.emplace_back(StartWorkerAt{name, worker, shape});
        }
        const bool has_other_shape = used_slots_[name] > slots_of_shape_[{name, shape}];
        if (jobs > 0 && has_other_shape && !roomy) {
            roomy = name;
        }
    }
    if (jobs == 0 || !roomy) {
        return;
    }
    round.reserved_sites.insert(*roomy);
    for (auto& [name, worker] : workers_) {
        if (worker.site == *roomy && worker.state == WorkerState::ready && worker.held.empty() &&
            worker.shape != shape) {
            worker_leaving(name);
            round.actions.emplace_back(RetireWorker{name});
        }
    }
}

void Scheduler::retract_leases(Round& round) {
    const auto retract = [&](const std::string& name, std::size_t most) {
        Worker& worker = workers_.at(name);
        RetractJobs back{name, {}};
        for (auto held = worker.held.rbegin(); held + 1 < worker.held.rend() && most > 0; ++held, --most) {
            if (!std::exchange(held->is_retracted, true)) {
                back.jobs.push_back(held->job);
            }
        }
        if (!back.jobs.empty()) {
            round.actions.emplace_back(std::move(back));
        }
    };
    for (const auto& name : std::exchange(stalling_, {})) {
        if (workers_.contains(name)) {
            retract(name, workers_.at(name).held.size());
        }
    }
    for (const auto& [shape, workers] : by_load_) {
        if (!round.reserved_sites.empty()) {
            break;  // what is given back would find no worker
        }
        // Whoever idles here found nothing that waits.
        if (!workers.empty() && workers.begin()->first == 0 && workers.rbegin()->first > 1) {
            const auto& [load, name] = *workers.rbegin();
            const auto& held = workers_.at(name).held;
            if (std::none_of(held.begin(), held.end(), [](const HeldJob& job) { return job.is_retracted; })) {
                retract(name, load / 2);
            }
        }
    }
}

std::vector<SchedulerAction> Scheduler::next_actions() {
    Round round;
    for (auto& [name, site] : sites_) {
        if (site.is_sound() && site.start_failures >= kMaximumStartFailures) {
            site.broken = true;
            round.actions.emplace_back(SiteBroken{name});
        }
    }
    round.coming = coming_;
    while (const auto next = next_bucket(round)) {
        const auto& [study, bucket] = *next;
        const WorkerShape shape = bucket.shape();
        if (const std::string* worker = least_loaded(shape, round.reserved_sites)) {
            assign(study, bucket, *worker, round);
        } else {
            make_room(studies_.at(study).waiting.at(bucket).size(), shape, round);
            round.exhausted.insert(*next);
        }
    }
    retract_leases(round);
    return std::move(round.actions);
}

std::string Scheduler::why_waiting(JobId job) const {
    const auto found = keys_.find(job);
    if (found == keys_.end()) {
        return "it does not wait";
    }
    const auto& [study, bucket] = found->second;
    const Queue& queue = studies_.at(study);
    if (queue.held) {
        return "its study is paused";
    }
    const int ranks = -bucket.negative_ranks;
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
        return entry.second.slots >= ranks && entry.second.is_sound();
    });
    if (!sound) {
        return "workers do not come up where it would fit";
    }
    std::ptrdiff_t ahead = 0;
    for (const auto& [before, jobs] : queue.waiting) {
        ahead += before == bucket ? std::distance(jobs.begin(), jobs.find(job)) : std::ssize(jobs);
        if (before == bucket) {
            break;
        }
    }
    std::string why = "all workers of " + width + " are busy; " + counted(ahead, "job") +
                      (ahead == 1 ? " is" : " are") + " ahead of it";
    const auto others = std::count_if(studies_.begin(), studies_.end(), [&, id = study](const auto& entry) {
        return entry.first != id && !entry.second.waiting.empty() && !entry.second.held;
    });
    if (others > 0) {
        why += ", and " + std::to_string(others) +
               (others == 1 ? " other study takes" : " other studies take") + " turns with its own";
    }
    return why;
}

}  // namespace orchestrate
