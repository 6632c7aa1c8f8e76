// The life of a job as one table: its states, what can happen to it, and what it is then. Whatever stands not in
// the table changes nothing. Pure. ARCHITECTURE.md draws it.
#pragma once

#include <optional>
#include <span>

#include <boost/describe.hpp>

#include "common/job/attempt.h"

namespace orchestrate {

// `paused`: trained as far as a search has asked for so far (JobResources::pause_after_epoch). `quarantined`: it has taken
// down so many workers that no worker gets it until a user asks for it again.
enum class JobState { waiting, running, succeeded, failed, cancelled, paused, quarantined };
BOOST_DESCRIBE_ENUM(JobState, waiting, running, succeeded, failed, cancelled, paused, quarantined)

// `asked_for`: a study (again) names the job. `promoted`: it shall be trained further than it is. `begun`: an attempt of
// it begins. The others: its attempt has ended by that cause; `cancelled` also: no study names the waiting job any more;
// `crashed_too_often` is worker_crashed at its limit; `result_refused`: the database does not take its result; `tried_again` one of out_of_memory, diverged and user_error below
// its limit.
enum class JobEvent {
    asked_for,
    begun,
    succeeded,
    preempted,
    walltime,
    node_lost,
    worker_crashed,
    crashed_too_often,
    tried_again,
    out_of_memory,
    diverged,
    user_error,
    cancelled,
    paused,
    promoted,
    result_refused,
};
BOOST_DESCRIBE_ENUM(JobEvent, asked_for, begun, succeeded, preempted, walltime, node_lost, worker_crashed,
                    crashed_too_often, tried_again, out_of_memory, diverged, user_error, cancelled, paused,
                    promoted, result_refused)

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

// How many attempts of a job may fail, by the cause of the last one, before it is tried no more. Interruptions
// (preempted, walltime, node_lost) are no failures and have no limit.
struct RetryLimits {
    int worker_crashed = 3;  // then it is quarantined; of the others: failed
    int out_of_memory = 1;
    int diverged = 1;
    int user_error = 1;
    bool operator==(const RetryLimits&) const = default;
};
BOOST_DESCRIBE_STRUCT(RetryLimits, (), (worker_crashed, out_of_memory, diverged, user_error))

// What the end of an attempt means for a job that has failed `failures` times before, by whatever cause.
JobEvent event_of(Cause cause, int failures, const RetryLimits& limits);

// Whether nothing more happens to a job by itself; and whether it ended so without a result.
bool is_over(JobState state);
bool is_over_without_result(JobState state);

}  // namespace orchestrate
