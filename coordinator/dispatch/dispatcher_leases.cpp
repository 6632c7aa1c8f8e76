// Which worker holds which attempts: leases, short jobs held ahead, drained workers.
#include <algorithm>

#include "coordinator/dispatch/dispatcher.h"

namespace orchestrate {

std::vector<AttemptId> Dispatcher::current_of(const std::vector<AttemptId>& attempts,
                                              const std::string& worker) const {
    std::vector<AttemptId> current;
    for (const auto& attempt : attempts) {
        const auto known = assignments_.find(attempt.job);
        if (known != assignments_.end() && known->second.attempt == attempt &&
            known->second.worker == worker &&
            std::find(current.begin(), current.end(), attempt) == current.end()) {
            current.push_back(attempt);
        }
    }
    return current;
}

Dispatcher::Worker& Dispatcher::welcome_worker(const std::shared_ptr<Peer>& connection, const Hello& hello) {
    Worker& worker = workers_[hello.name];
    if (worker.connection) {
        worker.connection->close();  // half-open: it has come back before we noticed that it had gone
    }
    const bool same_process =
        worker.record.process_id == hello.process_id && worker.record.host == hello.host;
    const bool is_new = worker.record.row == 0;
    if (is_new || !same_process) {
        const auto log_file = std::filesystem::path(hello.log_folder) / (hello.name + ".log");
        worker.record = {0,           hello.name,   hello.host,        hello.process_id,
                         hello.ranks, hello.device, log_file.string(), hello.is_one_process};
        const std::string site = site_of(hello.name);
        worker.record.site = sites_.contains(site) ? site : "";
        worker.record.row = store_.add_worker(worker.record);
        worker.killed = false;
        worker.goodbye_reason.clear();
    }
    worker.log_folder = hello.log_folder;
    worker.connection = connection;
    worker.last_heard = env_.now();
    worker.exit.reset();
    Welcome welcome;
    welcome.program_version = options_.program_version;
    welcome.heartbeat_interval_milliseconds = options_.heartbeat_interval.count();
    if (same_process || is_new) {  // another process cannot hold what that one was given
        welcome.current = current_of(hello.held, hello.name);
    }
    std::vector<AttemptId> leased(worker.queued.begin(), worker.queued.end());
    if (worker.running) {
        leased.insert(leased.begin(), *worker.running);
    }
    for (const auto& attempt : leased) {
        if (std::find(welcome.current.begin(), welcome.current.end(), attempt) == welcome.current.end()) {
            // It never got its lease: the connection broke before.
            end_attempt({attempt, Cause::node_lost, "the worker lost the job with its connection", {}}, "");
        }
    }
    std::vector<SchedulableJob> jobs;
    for (const auto& attempt : welcome.current) {
        assignments_.at(attempt.job).held_until.reset();
        jobs.push_back(schedulable(attempt.job));
    }
    scheduler_.worker_ready(hello.name, site_of(hello.name), {hello.ranks, hello.is_one_process},
                            hello.lease_capacity, jobs);
    worker.running.reset();
    worker.queued.assign(welcome.current.begin(), welcome.current.end());
    begin_next(worker);
    scheduler_.rest_worker(hello.name, machine_trouble_.is_paused(worker.record.host));
    worker.condemned.reset();
    worker.leaving_since.reset();
    worker.draining = worker.draining || scheduler_.is_closed(site_of(hello.name));
    if (worker.draining) {
        scheduler_.worker_leaving(hello.name);
    }
    log_->info("worker {} on {} (process {}, {} rank(s), {}) {}", hello.name, hello.host, hello.process_id,
               hello.ranks, hello.device, jobs.empty() ? "is ready" : "comes back with what it held");
    connection->answer(welcome);
    if (worker.draining && !worker.running) {
        ask_to_end(worker);
    }
    return worker;
}

void Dispatcher::assign(JobId id, const std::string& name) {
    Worker& worker = workers_.at(name);
    std::vector<StoredCheckpoint> stored_checkpoints;
    JobSpec terms;
    try {
        stored_checkpoints = store_.checkpoints(id);
        terms = store_.terms(id);
    } catch (const StoreUnavailable& error) {
        pause(error.what());
        scheduler_.attempt_ended(name, id);
        let_wait(id);
        return;
    }
    const BegunAttempt begun = store_.begin_attempt(id, worker.record, worker.log_folder);
    const Job& job = store_.jobs().at(id);
    assignments_[id] = {begun.id, name, env_.now(), false, 0, std::nullopt};
    log_->info("job {} ({}), attempt {} goes to {}", id, job.title, begun.id.number, name);
    worker.queued.push_back(begun.id);
    if (!worker.running) {
        begin_next(worker);
    }
    if (terms.config.command) {
        env_.keep_newest_attempts(begun.id);
    }
    send(worker,
         Lease{begun.id, std::move(terms.config), std::move(terms.paths), job.resources, begun.log_file,
               env_.plan_checkpoints(begun.id, std::move(stored_checkpoints)), options_.models_folder});
}

void Dispatcher::begin_next(Worker& worker) {
    worker.began_at = env_.now();
    worker.stalls = false;
    worker.is_overdue = false;
    worker.progress = {};
    if (worker.queued.empty()) {
        progress_watch_.end(worker.record.name);
        return;
    }
    worker.running = worker.queued.front();
    worker.queued.pop_front();
    // The attempt may have ended already; then it only fills its place.
    if (const auto known = assignments_.find(worker.running->job);
        known != assignments_.end() && known->second.attempt == *worker.running) {
        known->second.began_at = worker.began_at;
    }
    progress_watch_.begin(worker.record.name, worker.began_at);
}

void Dispatcher::let_go(Worker& worker, const AttemptId& attempt) {
    if (worker.running == attempt) {
        worker.running.reset();
        begin_next(worker);
    } else if (std::erase(worker.queued, attempt) == 0) {
        return;
    }
    scheduler_.attempt_ended(worker.record.name, attempt.job);
    if (worker.draining && !worker.running) {
        ask_to_end(worker);
    }
}

void Dispatcher::retract_leases(const RetractJobs& action) {
    const auto found = workers_.find(action.worker);
    if (found == workers_.end()) {
        return;
    }
    std::vector<AttemptId> attempts;
    for (const JobId job : action.jobs) {
        if (const auto known = assignments_.find(job); known != assignments_.end()) {
            attempts.push_back(known->second.attempt);
        }
    }
    retract(found->second, std::move(attempts));
}

void Dispatcher::retract(Worker& worker, std::vector<AttemptId> attempts) {
    if (!attempts.empty()) {
        log_->info("worker {} shall give back {} job(s) that it has not begun", worker.record.name,
                   attempts.size());
        send(worker, RetractLeases{std::move(attempts)});
    }
}

void Dispatcher::check_stalls() {
    const auto now = env_.now();
    for (auto& [name, worker] : workers_) {
        if (!worker.queued.empty() && !worker.stalls &&
            now - worker.began_at > prefetch_policy_.patience(worker.record.ranks)) {
            worker.stalls = true;
            scheduler_.worker_stalls(name);
        }
    }
}

bool Dispatcher::drain(const std::string& worker, const std::string& why) {
    const auto found = workers_.find(worker);
    if (found == workers_.end()) {
        return false;
    }
    drain_worker(found->second, why);
    return true;
}

void Dispatcher::drain_worker(Worker& worker, const std::string& why) {
    if (std::exchange(worker.draining, true)) {
        return;
    }
    const std::string& name = worker.record.name;
    log_->warn("worker {} is drained: {}", name, why);
    note("worker " + name + " is drained: " + why);
    scheduler_.worker_leaving(name);
    retract(worker, {worker.queued.begin(), worker.queued.end()});
    if (!worker.running) {
        ask_to_end(worker);
    }
}

void Dispatcher::ask_to_end(Worker& worker) {
    if (!worker.leaving_since) {
        worker.leaving_since = env_.now();
    }
    send(worker, Retire{});
}

}  // namespace orchestrate
