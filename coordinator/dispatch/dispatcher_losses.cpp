// How a dispatcher loses workers: they end, fall silent, get on no more, or never come up.
#include <fmt/format.h>

#include "coordinator/dispatch/dispatcher.h"

namespace orchestrate {

using namespace std::chrono_literals;

namespace {

// How long an ended process's last messages may take to be read from its connection.
constexpr auto kLastWordsLimit = 2s;

// How long a worker that was killed may take to be dead, as its site tells. Afterwards its slots are used again.
constexpr auto kDeathLimit = 20s;

// How long a site where no worker comes up may stay before it is given up.
constexpr auto kBrokenGrace = 5s;

// How long a worker that is to end, and holds nothing, may take.
constexpr auto kLeaveLimit = 60s;

// A job whose step somebody cancels so often is not begun again: whoever does it wants it to end.
constexpr int kMaxStepCancellations = 5;

}  // namespace

void Dispatcher::on_exit(const std::string& site, const SiteWorkerExit& exit) {
    log_->info("worker {} at {} {}", exit.worker, site, exit_text(exit));
    starting_.erase(exit.worker);
    launched_.erase(exit.worker);
    children_.erase(exit.worker);
    given_up_.erase(exit.worker);
    const auto found = workers_.find(exit.worker);
    if (found == workers_.end()) {
        if (scheduler_.knows_worker(exit.worker)) {
            note("worker " + exit.worker + " " + exit_text(exit) + " before it connected; see " +
                 options_.log_folder);
            scheduler_.worker_gone(exit.worker);
        }
        act();
        return;
    }
    found->second.exit = exit;
    found->second.exited_at = env_.now();
    if (!found->second.connection) {
        lose_worker(exit.worker, {});
    }
}

// Ends what a worker ran, by what is known of its end beside `evidence`.
void Dispatcher::lose_worker(const std::string& name, LossEvidence evidence) {
    const auto found = workers_.find(name);
    if (found == workers_.end()) {
        return;
    }
    Worker worker = std::move(found->second);
    workers_.erase(found);
    progress_watch_.end(name);
    if (worker.connection) {
        worker.connection->close();
    }
    if (worker.condemned) {
        evidence = *worker.condemned;
    } else {
        evidence.goodbye_reason = worker.goodbye_reason;
    }
    evidence.exit = worker.exit;
    evidence.killed_by_coordinator = worker.killed;
    const std::string site = site_of(name);
    if (const auto leaving = leaving_sites_.find(site); leaving != leaving_sites_.end()) {
        evidence.site_leaves = leaving->second;
    }
    evidence.allocation_state = env_.allocation_state(site);
    auto [cause, why] = classify_loss(evidence);
    if (worker.running && was_cancelled_alone(evidence) &&
        ++step_cancellations_[worker.running->job] >= kMaxStepCancellations) {
        cause = Cause::cancelled;
        why += fmt::format("; steps of this job were cancelled {} times", kMaxStepCancellations);
    }
    store_.worker_left(worker.record.row, why);
    scheduler_.worker_gone(name);
    if (worker.running) {
        note("worker " + name + " is lost: " + why);
        end_attempt({*worker.running, cause, "worker " + name + " " + why, {}}, name);
    }
    give_up_unbegun(worker, why);
    worker_health_.forget(name);
    act();
}

void Dispatcher::give_up_unbegun(const Worker& worker, const std::string& why) {
    for (const auto& attempt : worker.queued) {
        end_attempt(
            {attempt, Cause::node_lost, "worker " + worker.record.name + " " + why + ", before it began", {}},
            "");
    }
}

void Dispatcher::kill_worker(const std::string& name) {
    if (const auto site = sites_.find(site_of(name)); site != sites_.end()) {
        site->second->stop(name, 0ms);  // it may be stopped, and would hold its slots
    }
}

bool Dispatcher::condemn(Worker& worker, LossEvidence evidence) {
    const std::string& name = worker.record.name;
    kill_worker(name);
    worker.killed = true;
    if (!children_.contains(name)) {
        return false;
    }
    log_->warn("worker {} is killed", name);
    evidence.goodbye_reason =
        worker.goodbye_reason;  // what it says from now on answers the signal that kills it
    worker.condemned = std::move(evidence);
    worker.condemned_at = env_.now();
    scheduler_.worker_leaving(name);
    return true;
}

void Dispatcher::check_workers() {
    const auto now = env_.now();
    std::map<std::string, LossEvidence> losses;
    const auto condemn_or_lose = [&](Worker& worker, const LossEvidence& evidence) {
        if (!condemn(worker, evidence)) {
            losses[worker.record.name] = evidence;
        }
    };
    for (auto& [name, worker] : workers_) {
        if (worker.exit) {
            if (!worker.connection || now - worker.exited_at > kLastWordsLimit) {
                losses[name] = {};
            }
        } else if (worker.condemned) {
            if (!children_.contains(name)) {
                losses[name] = {};
            } else if (now - worker.condemned_at > kDeathLimit) {
                note("worker " + name +
                     " was killed, but its end is not confirmed: its slots are used again");
                given_up_.insert(name);
                losses[name] = {};
            }
        } else if (now - worker.last_heard > lost_after()) {
            LossEvidence silence;
            silence.silent_for = lost_after();
            condemn_or_lose(worker, silence);
        } else if (worker.leaving_since && !worker.running && now - *worker.leaving_since > kLeaveLimit) {
            log_->warn("worker {} was to end and has not", name);
            condemn_or_lose(worker, {});
        }
    }
    for (const auto& name : progress_watch_.overdue()) {
        const auto found = workers_.find(name);
        if (found == workers_.end() || !found->second.connection || found->second.condemned ||
            found->second.exit || losses.contains(name)) {
            continue;
        }
        LossEvidence standstill;
        standstill.without_progress = progress_watch_.limit();
        condemn_or_lose(found->second, standstill);
    }
    for (auto& [name, evidence] : losses) {
        lose_worker(name, std::move(evidence));
    }
}

// One that does not connect is killed; its exit is reported then, as that of a worker that did not come up.
void Dispatcher::check_starting_workers() {
    const auto now = env_.now();
    std::vector<std::string> unconfirmed;
    for (auto entry = starting_.begin(); entry != starting_.end();) {
        const std::string& name = entry->first;
        StartingWorker& worker = entry->second;
        const bool gone = worker.killed && now > worker.give_up_at;
        if (gone && !workers_.contains(name)) {
            unconfirmed.push_back(name);
        }
        if (gone || workers_.contains(name)) {
            entry = starting_.erase(entry);
            continue;
        }
        if (now > worker.late_at) {
            scheduler_.worker_is_late(name);
        }
        if (now > worker.give_up_at) {
            log_->error("worker {} has not connected in time", name);
            kill_worker(name);
            worker = {worker.late_at, now + kDeathLimit, true};
        }
        ++entry;
    }
    for (const auto& name : unconfirmed) {
        note("worker " + name +
             " did not connect, and its end is not confirmed: its slots are used again; see " +
             options_.log_folder);
        scheduler_.worker_gone(name);
    }
}

// The workers of a pilot that is dying do not come up either: one that is gone soon was not broken.
void Dispatcher::check_broken_sites() {
    const auto now = env_.now();
    std::erase_if(broken_sites_, [&](const auto& entry) {
        const auto& [name, since] = entry;
        if (!sites_.contains(name) || !scheduler_.is_broken(name)) {
            return true;
        }
        if (now - since <= kBrokenGrace) {
            return false;
        }
        if (const auto end = env_.allocation_state(name); !end.empty()) {
            log_->info("no worker comes up at {} any more: its allocation is {}", name, end);
        } else if (scheduler_.has_sound_site()) {
            note("no worker comes up at " + name + ": it gets no more; see " + options_.log_folder);
        } else {
            broken_ = "workers do not come up: " + std::to_string(Scheduler::kMaximumStartFailures) +
                      " in a row ended before they connected; look at their logs in '" + options_.log_folder +
                      "'";
        }
        return true;
    });
}

void Dispatcher::forget_starting_workers(const std::string& site) {
    std::erase_if(starting_, [&](const auto& entry) {
        if (site_of(entry.first) != site) {
            return false;
        }
        if (!workers_.contains(entry.first)) {
            log_->info("worker {} never connected, and its site is gone", entry.first);
            scheduler_.worker_gone(entry.first);
        }
        return true;
    });
}

}  // namespace orchestrate
