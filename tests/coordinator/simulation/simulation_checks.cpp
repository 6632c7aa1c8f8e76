// What must hold in the simulation all the time.
#include <algorithm>

#include <fmt/format.h>

#include "tests/coordinator/simulation/simulation_parts.h"

namespace orchestrate::test {

void Simulation::check_database() {
    const auto none = [&]<std::size_t size>(const char(&sql)[size], const char* what) {
        check(number_of(*disk_, sql) == 0, what);
    };
    none(
        "SELECT count(*) FROM jobs j WHERE (j.state = 'running') <> (SELECT count(*) FROM attempts a WHERE "
        "a.job_id = j.id AND a.ended_at IS NULL)",
        "a job runs without one open attempt, or has one and does not run");
    none(
        "SELECT count(*) FROM attempts a WHERE a.ended_at IS NULL AND a.number < (SELECT max(number) FROM "
        "attempts b "
        "WHERE b.job_id = a.job_id)",
        "an attempt is open although a later one has begun");
    none(
        "SELECT count(*) FROM jobs j WHERE (j.state = 'succeeded') <> (SELECT count(*) FROM results r WHERE "
        "r.job_id = j.id)",
        "a job has succeeded without a result, or the reverse");
    none(
        "SELECT count(*) FROM results r WHERE r.attempt <> (SELECT max(number) FROM attempts a WHERE "
        "a.job_id = "
        "r.job_id)",
        "the result is of an attempt that was not the newest");
    none(
        "SELECT count(*) FROM (SELECT 1 FROM attempts WHERE cause = 'succeeded' GROUP BY job_id HAVING "
        "count(*) > 1)",
        "two attempts of a job have succeeded");
    none("SELECT count(*) FROM results WHERE parameters <> attempt",
         "a result is not of the attempt under which it was taken");
    none(
        "SELECT count(*) FROM jobs j WHERE state = 'quarantined' AND (SELECT count(*) FROM attempts a WHERE "
        "a.job_id = j.id AND a.cause IN ('worker_crashed', 'user_error')) < 3",
        "a job is in quarantine that has not failed three times");
    for (const auto& [job, attempt] : accepted_) {
        BoundStatement query(*disk_, "SELECT attempt FROM results WHERE job_id = ?", job);
        if (!query->executeStep() || query->getColumn(0).getInt64() != attempt) {
            check(false, fmt::format("the acknowledged result of job {}, attempt {} is gone", job, attempt));
        }
    }
    check_causes();
    std::set<AttemptId> held;
    for (const auto& [name, worker] : coordinator_->dispatcher.workers()) {
        for (const auto& attempt : worker.queued) {
            held.insert(attempt);
        }
        if (worker.running) {
            held.insert(*worker.running);
        }
    }
    for (const auto& [id, assignment] : coordinator_->dispatcher.assignments()) {
        if (!assignment.held_until && !held.contains(assignment.attempt)) {
            check(false, fmt::format("job {} runs, but no worker has it", id));
        }
    }
    // What has been changed since the commit is not yet in the database.
    if (coordinator_->store.pending_changes() > 0) {
        return;
    }
    BoundStatement states(*disk_, "SELECT id, state FROM jobs");
    while (states->executeStep()) {
        const JobId id(states->getColumn(0).getInt64());
        if (const Job* job = coordinator_->store.jobs().find(id)) {
            check(to_string(job->state) == states->getColumn(1).getString(),
                  fmt::format("job {} is {} in memory, but not in the database", id, to_string(job->state)));
        }
    }
}

// Nothing that ends with its pilot has crashed.
void Simulation::check_causes() {
    for (auto attempt = of_leaving_pilots_.begin(); attempt != of_leaving_pilots_.end();) {
        BoundStatement query(*disk_, "SELECT cause FROM attempts WHERE job_id = ? AND number = ?",
                             attempt->job, attempt->number);
        if (!query->executeStep() || query->getColumn(0).isNull()) {
            ++attempt;
            continue;
        }
        check(query->getColumn(0).getString() != "worker_crashed",
              fmt::format("job {}, attempt {} ended with its pilot, and counts as a crash", attempt->job,
                          attempt->number));
        attempt = of_leaving_pilots_.erase(attempt);
    }
}

// Whether a job could start at once: by what is there, not by what the dispatcher believes.
bool Simulation::has_room() const {
    std::map<std::string, int> free_slots;
    if (coordinator_->site != nullptr) {
        free_slots[kLocalSite] = kLocalSlots;
    }
    for (const auto& pilot : pilots_) {
        if (pilot->site != nullptr && pilot->life == coordinator_->life && !pilot->leaving) {
            free_slots[pilot->name] = kPilotSlots;
        }
    }
    for (const auto& [process, worker] : processes_) {
        --free_slots[Dispatcher::site_of(worker->hello.name)];
        const bool idles = worker->link && worker->link->welcomed && !worker->link->broken &&
                           worker->link->life == coordinator_->life && !worker->stopped &&
                           !worker->partitioned && worker->is_idle() &&
                           !(worker->pilot && worker->pilot->leaving);
        if (idles) {
            return true;
        }
    }
    return std::any_of(free_slots.begin(), free_slots.end(),
                       [](const auto& site) { return site.second > 0; });
}

void Simulation::check_liveness() {
    const JobTable& jobs = coordinator_->store.jobs();
    const bool one_waits = std::any_of(jobs.begin(), jobs.end(), [](const auto& entry) {
        return entry.second.state == JobState::waiting && entry.second.plan;
    });
    if (coordinator_->dispatcher.paused() || !coordinator_->recovered || !one_waits || !has_room()) {
        room_since_ = -1;
    } else if (room_since_ < 0) {
        room_since_ = now_;
    }
    if (room_since_ >= 0 && now_ - room_since_ > kLivenessMilliseconds) {
        for (const auto& [id, job] : jobs) {
            if (job.state == JobState::waiting && job.plan) {
                check(false, fmt::format("job {} waits although there has been room for it all the time: {}",
                                         id, coordinator_->dispatcher.why_waiting(id)));
            }
        }
    }
    for (const auto& run : coordinator_->runs) {
        const auto& ids = run->jobs();
        const bool nothing_left =
            !run->has_ended() && !coordinator_->dispatcher.paused() &&
            std::all_of(ids.begin(), ids.end(), [&](JobId id) { return is_over(jobs.at(id).state); });
        const std::string key = fmt::format("{} of life {}, stage '{}'", run->study().name,
                                            coordinator_->life, run->stage_name());
        if (!nothing_left) {
            idle_since_.erase(key);
        } else {
            check(now_ - idle_since_.emplace(key, now_).first->second <= kLivenessMilliseconds,
                  key + " has nothing left to do, and does not advance");
        }
    }
}

}  // namespace orchestrate::test
