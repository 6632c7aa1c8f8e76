// The life of a job as one table: its states, what can happen to it, and what it is then. Whatever stands not in
// the table changes nothing. Pure. ARCHITECTURE.md draws it.
#pragma once

#include <optional>
#include <span>

#include <boost/describe.hpp>

#include "common/attempt.h"

namespace orchestrate {

// `paused`: trained as far as a search has asked for so far (JobResources::pause_after_epoch).
enum class JobState { waiting, running, succeeded, failed, cancelled, paused };
BOOST_DESCRIBE_ENUM(JobState, waiting, running, succeeded, failed, cancelled, paused)

// `asked_for`: a study (again) names the job. `promoted`: it shall be trained further than it is. `begun`: an attempt of it begins. The others: its attempt has ended
// by that cause; `cancelled` also: no study names the waiting job any more; `crashed_too_often` is worker_crashed at the limit of failures.
enum class JobEvent {
    asked_for,
    begun,
    succeeded,
    preempted,
    walltime,
    node_lost,
    worker_crashed,
    crashed_too_often,
    out_of_memory,
    diverged,
    user_error,
    cancelled,
    paused,
    promoted,
};
BOOST_DESCRIBE_ENUM(JobEvent, asked_for, begun, succeeded, preempted, walltime, node_lost, worker_crashed,
                    crashed_too_often, out_of_memory, diverged, user_error, cancelled, paused, promoted)

struct JobTransition {
    JobState from = JobState::waiting;
    JobEvent event = JobEvent::begun;
    JobState to = JobState::waiting;
    bool counts_as_failure = false;
    bool clears_failures = false;
};

std::span<const JobTransition> job_transitions();

// The row of the table for that state and event; nothing if the event changes nothing there.
std::optional<JobTransition> find_transition(JobState state, JobEvent event);

// What the end of an attempt means for a job that has failed `failures` times so far.
JobEvent event_of(Cause cause, int failures, int maximum_failures);

}  // namespace orchestrate
