// What a coordinator tells users about how things stand.
#include <algorithm>

#include <unistd.h>

#include "common/base/host.h"
#include "coordinator/server/coordinator.h"

namespace orchestrate {

namespace {

// Told to whoever asks for the first time.
constexpr std::int64_t kNewestEvents = 20;

}  // namespace

StatusReply Coordinator::status(std::int64_t events_after) const {
    StatusReply reply;
    reply.program_version = options_.program_version;
    reply.host = host_name();
    reply.process_id = getpid();
    reply.database = std::filesystem::absolute(options_.database).lexically_normal().string();
    reply.ending = ending_ || interrupted_;
    reply.paused = dispatcher_.pause_reason();
    for (const auto& run : runs_) {
        reply.studies.push_back(status_of(*run));
        reply.waiting += run->has_ended() ? 0 : run->stage_jobs().in(JobState::waiting);
    }
    for (const auto& [name, worker] : dispatcher_.workers()) {
        WorkerStatus entry;
        entry.name = name;
        entry.host = worker.record.host;
        entry.ranks = worker.record.ranks;
        entry.draining = worker.draining;
        entry.state = !worker.connection ? "away" : worker.running ? "busy" : "idle";
        if (worker.running) {
            entry.job = worker.running->job;
            entry.job_title = store_.jobs().at(entry.job).title;
            entry.progress = worker.progress;
        }
        reply.workers.push_back(std::move(entry));
    }
    reply.longest_hold_milliseconds = watch_.longest().count();
    reply.longest_hold_by = watch_.longest_handler();
    reply.database_instructions = store_.instructions();
    const std::int64_t after = events_after < 0 ? last_event_ - kNewestEvents : events_after;
    for (auto event = events_.rbegin(); event != events_.rend() && event->number > after; ++event) {
        reply.events.push_back(*event);
    }
    std::reverse(reply.events.begin(), reply.events.end());
    return reply;
}

StudyStatus Coordinator::status_of(const StudyRun& run) const {
    StudyStatus status;
    status.study = run.study().name;
    status.state = run.outcome()     ? to_string(*run.outcome())
                   : run.is_paused() ? "paused"
                                     : to_string(StudyState::running);
    status.stage = run.stage_name();
    const JobCounts& jobs = run.stage_jobs();
    status.jobs = jobs.all();
    status.succeeded = jobs.in(JobState::succeeded);
    status.failed = jobs.failed();
    status.cancelled = jobs.in(JobState::cancelled);
    status.running = jobs.in(JobState::running);
    const auto until = run.ended_at().value_or(std::chrono::steady_clock::now());
    status.elapsed_seconds = std::chrono::duration<double>(until - run.began_at()).count();
    if (!run.has_ended()) {
        status.remaining_seconds = remaining_seconds(run);
    }
    return status;
}

std::optional<double> Coordinator::remaining_seconds(const StudyRun& run) const {
    const auto now = std::chrono::steady_clock::now();
    double fraction_done_of_running = 0;
    double estimate_from_running = 0;
    int estimates = 0;
    int running = 0;
    for (const auto& [name, worker] : dispatcher_.workers()) {
        if (!worker.running || !run.has_job(worker.running->job)) {
            continue;
        }
        ++running;
        const auto& progress = worker.progress;
        const auto job = dispatcher_.assignments().find(worker.running->job);
        if (progress.steps > 0 && progress.step > 0 && job != dispatcher_.assignments().end()) {
            const double fraction = static_cast<double>(progress.step) / static_cast<double>(progress.steps);
            fraction_done_of_running += fraction;
            if (const double since = fraction - job->second.share_resumed; since > 0) {
                estimate_from_running +=
                    std::chrono::duration<double>(now - job->second.began_at).count() / since;
                ++estimates;
            }
        }
    }
    double seconds_per_job = 0;
    if (const auto mean = dispatcher_.mean_job_seconds()) {
        seconds_per_job = *mean;
    } else if (estimates > 0) {
        seconds_per_job = estimate_from_running / estimates;
    } else {
        return std::nullopt;
    }
    const auto unfinished = static_cast<double>(run.stage_jobs().unfinished());
    const double jobs_left = std::max(0.0, unfinished - fraction_done_of_running);
    return jobs_left * seconds_per_job / std::max(1, running);
}

}  // namespace orchestrate
