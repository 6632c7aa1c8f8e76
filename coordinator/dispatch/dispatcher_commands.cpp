// What people change while a dispatcher works.
#include <algorithm>

#include "coordinator/dispatch/dispatcher.h"

namespace orchestrate {

bool Dispatcher::cancel(std::int64_t id) {
    const auto found = jobs_.find(id);
    if (found != jobs_.end() && found->second.attempt) {
        const AttemptId attempt = *found->second.attempt;
        if (!end_attempt({attempt, Cause::cancelled, "by a person", {}}, "")) {
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
    if (!store_.cancel(id)) {
        return false;
    }
    scheduler_.remove_job(id);
    restart_pauses_.forget(id);
    if (found != jobs_.end()) {
        set_state(id, found->second, JobState::cancelled);
    }
    return true;
}

bool Dispatcher::ask_again(std::int64_t id) {
    if (!store_.ask_again(id)) {
        return false;
    }
    if (const auto found = jobs_.find(id); found != jobs_.end() && !found->second.stored.title.empty()) {
        found->second.stored.failures = 0;
        found->second.step_cancellations = 0;
        set_state(id, found->second, JobState::waiting);
        let_wait(id, found->second);
        act();
    }
    return true;
}

void Dispatcher::give_to_study(std::int64_t id, std::int64_t study) {
    const auto found = jobs_.find(id);
    if (found == jobs_.end() || found->second.study == study) {
        return;
    }
    found->second.study = study;
    if (found->second.stored.state == JobState::waiting) {
        let_wait(id, found->second);
        act();
    }
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
