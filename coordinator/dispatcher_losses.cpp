// How a dispatcher loses workers: they end, fall silent, get on no more, or never come up.
#include "coordinator/dispatcher.h"

namespace orchestrate {

using namespace std::chrono_literals;

namespace {

// How long an ended process's last messages may take to be read from its connection.
constexpr auto kLastWordsLimit = 2s;

// A worker connects within seconds; one whose ranks do not come together is started anew.
constexpr auto kStartLimit = 120s;

}  // namespace

void Dispatcher::on_exit(const std::string& site, const SiteWorkerExit& exit) {
    log_->info("worker {} at {} {}", exit.worker, site, exit_text(exit));
    starting_.erase(exit.worker);
    launched_.erase(exit.worker);
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
    found->second.exited_at = surroundings_.now();
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
    evidence.farewell = worker.farewell;
    evidence.exit = worker.exit;
    evidence.allocation_state = surroundings_.allocation_state(site_of(name));
    const auto [cause, why] = settle_cause(evidence);
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

void Dispatcher::stop_worker_now(const std::string& name) {
    if (const auto site = sites_.find(site_of(name)); site != sites_.end()) {
        site->second->stop(name, 0ms);  // it may be stopped, and would hold its slots
    }
}

void Dispatcher::check_workers() {
    const auto now = surroundings_.now();
    std::map<std::string, LossEvidence> losses;
    for (const auto& [name, worker] : workers_) {
        if (worker.exit && (!worker.connection || now - worker.exited_at > kLastWordsLimit)) {
            losses[name] = {};
        } else if (now - worker.last_heard > lost_after()) {
            losses[name].silent_for = lost_after();
            stop_worker_now(name);
        }
    }
    for (const auto& name : progress_watch_.overdue(now)) {
        const auto found = workers_.find(name);
        if (found != workers_.end() && found->second.connection && !losses.contains(name)) {
            losses[name].without_progress = progress_watch_.limit();
            stop_worker_now(name);
        }
    }
    for (auto& [name, evidence] : losses) {
        lose_worker(name, std::move(evidence));
    }
}

// Its exit is reported then, as that of a worker that did not come up.
void Dispatcher::check_starting_workers() {
    const auto now = surroundings_.now();
    std::erase_if(starting_, [&](const auto& entry) {
        const bool late = now - entry.second > kStartLimit;
        if (late && !workers_.contains(entry.first)) {
            log_->error("worker {} has not connected within {} s", entry.first,
                        std::chrono::duration_cast<std::chrono::seconds>(kStartLimit).count());
            stop_worker_now(entry.first);
        }
        return late || workers_.contains(entry.first);
    });
}

}  // namespace orchestrate
