#include "coordinator/store/job_states.h"

#include <algorithm>
#include <array>

namespace orchestrate {
namespace {

using enum JobState;

// Interrupted attempts are repeated without limit, crashes up to a limit; what would only happen again ends the job.
constexpr std::array kTransitions{
    JobTransition{waiting, JobEvent::asked_for, waiting},
    JobTransition{waiting, JobEvent::begun, running},
    JobTransition{waiting, JobEvent::cancelled, cancelled},
    JobTransition{running, JobEvent::asked_for, running},
    JobTransition{running, JobEvent::succeeded, succeeded},
    JobTransition{running, JobEvent::preempted, waiting},
    JobTransition{running, JobEvent::walltime, waiting},
    JobTransition{running, JobEvent::node_lost, waiting},
    JobTransition{running, JobEvent::worker_crashed, waiting, true},
    JobTransition{running, JobEvent::crashed_too_often, quarantined, true},
    JobTransition{running, JobEvent::tried_again, waiting, true},
    JobTransition{running, JobEvent::out_of_memory, failed, true},
    JobTransition{running, JobEvent::diverged, failed, true},
    JobTransition{running, JobEvent::user_error, failed, true},
    JobTransition{running, JobEvent::cancelled, cancelled},
    JobTransition{running, JobEvent::paused, paused},
    JobTransition{paused, JobEvent::asked_for, paused},
    JobTransition{paused, JobEvent::promoted, waiting},
    JobTransition{paused, JobEvent::cancelled, cancelled},
    JobTransition{succeeded, JobEvent::asked_for, succeeded},
    JobTransition{succeeded, JobEvent::result_refused, failed, true},
    JobTransition{failed, JobEvent::asked_for, waiting, false, true},
    JobTransition{cancelled, JobEvent::asked_for, waiting, false, true},
    JobTransition{quarantined, JobEvent::asked_for, waiting, false, true},
};

}  // namespace

std::span<const JobTransition> job_transitions() {
    return kTransitions;
}

std::optional<JobTransition> find_transition(JobState state, JobEvent event) {
    const auto* const found =
        std::find_if(kTransitions.begin(), kTransitions.end(), [&](const JobTransition& transition) {
            return transition.from == state && transition.event == event;
        });
    return found == kTransitions.end() ? std::nullopt : std::optional(*found);
}

JobEvent event_of(Cause cause, int failures, const RetryLimits& limits) {
    const auto unless_again = [&](int limit, JobEvent otherwise) {
        return failures + 1 < limit ? JobEvent::tried_again : otherwise;
    };
    switch (cause) {
        case Cause::succeeded:
            return JobEvent::succeeded;
        case Cause::preempted:
            return JobEvent::preempted;
        case Cause::walltime:
            return JobEvent::walltime;
        case Cause::node_lost:
            return JobEvent::node_lost;
        case Cause::worker_crashed:
            return failures + 1 < limits.worker_crashed ? JobEvent::worker_crashed
                                                        : JobEvent::crashed_too_often;
        case Cause::out_of_memory:
            return unless_again(limits.out_of_memory, JobEvent::out_of_memory);
        case Cause::diverged:
            return unless_again(limits.diverged, JobEvent::diverged);
        case Cause::user_error:
            return unless_again(limits.user_error, JobEvent::user_error);
        case Cause::cancelled:
            return JobEvent::cancelled;
        case Cause::paused:
            return JobEvent::paused;
    }
    return JobEvent::worker_crashed;
}

bool is_over(JobState state) {
    return state != JobState::waiting && state != JobState::running;
}

bool is_over_without_result(JobState state) {
    return state == JobState::failed || state == JobState::cancelled || state == JobState::quarantined;
}

}  // namespace orchestrate
