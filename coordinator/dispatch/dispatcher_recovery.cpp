// What a dispatcher finds when it starts again: attempts that may still run, workers that may still live.
#include "coordinator/dispatch/dispatcher.h"

namespace orchestrate {

void Dispatcher::recover() {
    for (const JobId job : env_.jobs_with_checkpoints()) {
        if (store_.has_succeeded(job)) {
            env_.remove_checkpoints(job);  // the last coordinator did not come to it
        }
    }
    const auto now = env_.now();
    for (const auto& worker : store_.present_workers()) {
        if (env_.has_ended(worker.host, worker.process_id)) {
            store_.worker_left(worker.row, "its process had ended when the coordinator came back");
            continue;
        }
        Worker& expected = workers_[worker.name];
        expected.record = worker;
        expected.last_heard = now;
        scheduler_.worker_expected(worker.name, site_of(worker.name), {worker.ranks, worker.is_one_process});
    }
    for (const auto& attempt : store_.open_attempts()) {
        if (env_.has_ended(attempt.host, attempt.worker_process)) {
            end_attempt({attempt.id,
                         Cause::node_lost,
                         "the worker's process had ended when the coordinator came back",
                         {}},
                        "");
            continue;
        }
        store_.find_job(attempt.id.job);  // into memory: its worker may report
        assignments_[attempt.id.job] = {attempt.id, attempt.worker, now, true, 0, now + lost_after()};
        held_jobs_.insert(attempt.id.job);
        log_->info("job {}, attempt {} may still run on {}; waiting for it", attempt.id.job,
                   attempt.id.number, attempt.worker);
    }
}

void Dispatcher::release_held_attempts() {
    const auto now = env_.now();
    for (auto held = held_jobs_.begin(); held != held_jobs_.end();) {
        const auto found = assignments_.find(*held);
        const auto until = found == assignments_.end() ? std::nullopt : found->second.held_until;
        if (until && now <= *until) {
            ++held;
            continue;
        }
        held = held_jobs_.erase(held);
        if (until) {
            end_attempt({found->second.attempt,
                         Cause::node_lost,
                         "its worker did not come back to the coordinator",
                         {}},
                        "");
        }
    }
}

}  // namespace orchestrate
