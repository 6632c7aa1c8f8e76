// What a dispatcher finds when it starts again: attempts that may still run, workers that may still live.
#include "coordinator/dispatch/dispatcher.h"

namespace orchestrate {

void Dispatcher::recover() {
    for (const std::int64_t job : surroundings_.jobs_with_checkpoints()) {
        if (store_.has_succeeded(job)) {
            surroundings_.remove_checkpoints(job);  // the last coordinator did not come to it
        }
    }
    const auto now = surroundings_.now();
    for (const auto& worker : store_.present_workers()) {
        if (surroundings_.has_ended(worker.host, worker.process_id)) {
            store_.worker_left(worker.row, "its process had ended when the coordinator came back");
            continue;
        }
        Worker& expected = workers_[worker.name];
        expected.record = worker;
        expected.last_heard = now;
        scheduler_.worker_expected(worker.name, site_of(worker.name), worker.ranks);
    }
    for (const auto& attempt : store_.open_attempts()) {
        if (surroundings_.has_ended(attempt.host, attempt.worker_process)) {
            end_attempt({attempt.id,
                         Cause::node_lost,
                         "the worker's process had ended when the coordinator came back",
                         {}},
                        "");
            continue;
        }
        Job& job = jobs_[attempt.id.job];
        job.attempt = attempt.id;
        job.worker = attempt.worker;
        job.began_at = now;
        job.began_before_restart = true;
        job.held_until = now + lost_after();
        held_jobs_.insert(attempt.id.job);
        log_->info("job {}, attempt {} may still run on {}; waiting for it", attempt.id.job,
                   attempt.id.number, attempt.worker);
    }
}

void Dispatcher::release_held_attempts() {
    const auto now = surroundings_.now();
    for (auto held = held_jobs_.begin(); held != held_jobs_.end();) {
        Job& job = jobs_.at(*held);
        if (job.held_until && now <= *job.held_until) {
            ++held;
            continue;
        }
        held = held_jobs_.erase(held);
        if (std::exchange(job.held_until, std::nullopt)) {
            end_attempt(
                {*job.attempt, Cause::node_lost, "its worker did not come back to the coordinator", {}}, "");
        }
    }
}

}  // namespace orchestrate
