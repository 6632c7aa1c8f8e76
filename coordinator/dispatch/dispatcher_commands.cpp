// What users change while a dispatcher works.
#include <algorithm>

#include "coordinator/dispatch/dispatcher.h"

namespace orchestrate {

bool Dispatcher::cancel(JobId id) {
    const auto found = assignments_.find(id);
    if (found == assignments_.end()) {
        return store_.cancel(id);
    }
    const AttemptId attempt = found->second.attempt;
    if (!end_attempt({attempt, Cause::cancelled, "by a user", {}}, "")) {
        return false;
    }
    // It keeps its place until it says that it has stopped.
    for (const auto& [name, worker] : workers_) {
        if (worker.running == attempt ||
            std::find(worker.queued.begin(), worker.queued.end(), attempt) != worker.queued.end()) {
            send(worker, StopAttempt{attempt});
        }
    }
    act();
    return true;
}

bool Dispatcher::ask_again(JobId id) {
    if (!store_.ask_again(id)) {
        return false;
    }
    let_wait(id);
    act();
    return true;
}

void Dispatcher::give_to_study(JobId id, StudyId study) {
    const Job* const job = store_.jobs().find(id);
    if (job == nullptr || !job->plan || job->plan->study == study) {
        return;
    }
    store_.set_plan(id, {study, job->plan->priority});
    let_wait(id);
    act();
}

bool Dispatcher::drain_for_good(const std::string& worker, const std::string& why) {
    const auto found = workers_.find(worker);
    if (found == workers_.end() || !found->second.connection) {
        return false;
    }
    if (!found->second.draining) {
        scheduler_.remove_slots(site_of(worker), found->second.record.ranks);
    }
    return drain(worker, why);
}

}  // namespace orchestrate
