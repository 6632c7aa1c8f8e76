// What srun says about the ends of a step's tasks. Pure.
#pragma once

#include <optional>
#include <string_view>

namespace orchestrate {

// The exit code of the task that failed first, by srun's messages ("srun: error: n1: task 1: Exited with exit code 71");
// empty if the first one did not end by an exit code, or none failed. srun itself returns the highest code of all tasks,
// so that one which failed by itself is hidden by those that srun killed because of it (137).
std::optional<int> first_task_exit_code(std::string_view srun_output);

// Slurm's word for what ended the step from outside ("slurmstepd: error: *** STEP 5.0 ON n0 CANCELLED AT ... DUE TO TIME
// LIMIT ***"): CANCELLED (scancel JOB.STEP), TIMEOUT, PREEMPTED or NODE_FAIL. Empty if nothing did, or if srun has reported
// an error before: then srun itself ends what is left of the step, which Slurm reports in the same words. A signal that
// scancel sends (--signal=KILL) leaves no trace that tells it from one of another sender.
std::string_view step_state(std::string_view srun_output);

}  // namespace orchestrate
