// What the coordinator finds when it starts again, and what jobs find when they do: attempts that may still run,
// results that were not acknowledged, checkpoints.
#include "common/error.h"
#include "common/host.h"
#include "common/result_spool.h"
#include "coordinator/coordinator.h"

namespace orchestrate {

// What an earlier coordinator left: attempts that may still run, workers that may still live.
void Coordinator::recover() {
    for (const std::int64_t job : checkpoints_.jobs()) {
        if (store_.has_succeeded(job)) {
            checkpoints_.remove_job(job);  // the last coordinator did not come to it
        }
    }
    const auto now = std::chrono::steady_clock::now();
    const std::string here = host_name();
    for (const auto& worker : store_.present_workers()) {
        if (worker.host == here && !process_is_alive(worker.process_id)) {
            store_.worker_left(worker.row, "its process had ended when the coordinator came back");
            continue;
        }
        Worker& expected = workers_[worker.name];
        expected.record = worker;
        expected.last_heard = now;
        scheduler_.worker_expected(worker.name, site_of(worker.name), worker.ranks);
    }
    for (const auto& attempt : store_.open_attempts()) {
        if (attempt.host == here && !process_is_alive(attempt.worker_process)) {
            end_attempt({attempt.id,
                         Cause::node_lost,
                         "the worker's process had ended when the coordinator came back",
                         {}},
                        attempt.worker);
            continue;
        }
        Job& job = jobs_[attempt.id.job];
        job.attempt = attempt.id;
        job.began_at = now;
        job.held_until = now + lost_after();
        log_->info("job {}, attempt {} may still run on {}; waiting for it", attempt.id.job,
                   attempt.id.number, attempt.worker);
    }
}

// Results whose worker has ended before an earlier coordinator could acknowledge them.
void Coordinator::accept_unacknowledged_results() {
    try {
        const auto files = make_system_files();
        ResultSpool spool(*files,
                          spool_folder(std::filesystem::absolute(state_folder(options_.database)) / "logs",
                                       server_->certificate_fingerprint()));
        const auto leftovers = spool.leftovers();
        for (const auto& reason : leftovers.unreadable) {
            log_->error("a result on disk cannot be read: {}", reason);
        }
        for (const auto& result : leftovers.results) {
            log_->info("job {}, attempt {} has left its result on disk", result.attempt.job,
                       result.attempt.number);
            end_attempt(result, "the disk");
            spool.remove(result.attempt);
        }
    } catch (const std::system_error& error) {
        log_->error("results on disk cannot be read: {}", error.what());
    }
}

void Coordinator::release_held_attempts() {
    const auto now = std::chrono::steady_clock::now();
    for (auto& [id, job] : jobs_) {
        if (job.held_until && now > *job.held_until) {
            job.held_until.reset();
            end_attempt(
                {*job.attempt, Cause::node_lost, "its worker did not come back to the coordinator", {}}, "");
        }
    }
}

CheckpointPlan Coordinator::plan_checkpoints(const AttemptId& attempt) {
    CheckpointPlan plan;
    plan.attempt = attempt.number;
    plan.interval_seconds = checkpoint_interval_seconds_;
    try {
        checkpoints_.begin(attempt);
        plan.folder = checkpoints_.folder(attempt).string();
        plan.resume_from = checkpoints_.candidates(attempt, store_.checkpoints(attempt.job));
    } catch (const std::system_error& error) {
        log_->error("job {}, attempt {} keeps no checkpoints: {}", attempt.job, attempt.number, error.what());
    }
    return plan;
}

}  // namespace orchestrate
