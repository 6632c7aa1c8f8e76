// Workers, sites and hosts that get no more jobs, for a while or for good, because of how attempts end there.
#include <fmt/format.h>

#include "common/base/time_text.h"
#include "coordinator/dispatch/dispatcher.h"

namespace orchestrate {

void Dispatcher::judge_health(const std::string& name, JobId id, Cause cause) {
    const auto why = [](const BadPlace& bad) {
        return fmt::format("{} different jobs in a row failed on it, and have succeeded elsewhere since",
                           std::max(bad.jobs.size(), WorkerHealth::kFailuresInARow));
    };
    for (const auto& bad : site_health_.ended(site_of(name), id, cause)) {
        if (!sites_.contains(bad.place)) {
            continue;
        }
        note("site " + bad.place + " gets no more jobs: " + why(bad));
        scheduler_.close_site(bad.place);
        for (auto& [other, worker] : workers_) {
            if (site_of(other) == bad.place) {
                drain_worker(worker, "its site gets no more jobs");
            }
        }
        try_elsewhere(bad.jobs);
    }
    for (const auto& bad : worker_health_.ended(name, id, cause)) {
        drain(bad.place, why(bad));
        try_elsewhere(bad.jobs);
    }
}

// What failed at a place that was proven bad failed because of it, and is not counted. What the study does not allow to
// be repeated at all stays as it is.
void Dispatcher::try_elsewhere(const std::vector<JobId>& jobs) {
    for (const JobId id : jobs) {
        const Job& job = store_.jobs().at(id);
        const RetryLimits& limits = limits_of(job);
        const bool may_be_repeated = (job.state == JobState::failed && limits.user_error > 1) ||
                                     (job.state == JobState::quarantined && limits.worker_crashed > 1);
        if (may_be_repeated && job.plan && store_.ask_again(id)) {
            note(fmt::format("job {}: {}: is tried once more elsewhere", id, job.title));
            let_wait(id);
        }
    }
}

bool Dispatcher::is_trouble_of_the_machine(const Worker& worker, const AttemptEnded& ended) const {
    // A worker that has lost a rank says goodbye, and ends.
    return ended.cause == Cause::node_lost && worker.goodbye_reason.empty() &&
           worker.running == ended.attempt && !leaving_sites_.contains(site_of(worker.record.name));
}

void Dispatcher::rest_host(Worker& worker, const AttemptEnded& ended) {
    const std::string& host = worker.record.host;
    const auto reported = machine_trouble_.reported(host, ended.message, env_.now());
    log_->warn("host {} gets no jobs for {} s: {}", host, reported.pause.count(), ended.message);
    if (reported.to_be_said) {
        note(fmt::format(
            "paused on {}: {}. Its jobs wait (no attempt is counted) and are tried again in {}, later "
            "every {} at most, or elsewhere",
            host, ended.message, duration_text(reported.pause),
            duration_text(MachineTrouble::kLongestPause)));
    }
    for (auto& [name, other] : workers_) {
        if (other.record.host == host) {
            scheduler_.rest_worker(name, true);
            retract(other, {other.queued.begin(), other.queued.end()});
        }
    }
}

void Dispatcher::end_rests() {
    for (const auto& host : machine_trouble_.take_over(env_.now())) {
        for (const auto& [name, worker] : workers_) {
            if (worker.record.host == host) {
                scheduler_.rest_worker(name, false);
            }
        }
    }
}

std::string Dispatcher::why_waiting(JobId job) const {
    if (const auto left = restart_pauses_.left(job, env_.now())) {
        return fmt::format(
            "its command asked to be started again (exit code 75) soon after it began; it is in {}",
            duration_text(*left));
    }
    const std::string trouble = machine_trouble_.reason();
    const std::string why = scheduler_.why_waiting(job);
    return trouble.empty() ? why : why + "; paused: " + trouble;
}

}  // namespace orchestrate
