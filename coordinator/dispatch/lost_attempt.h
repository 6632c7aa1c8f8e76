// Why an attempt ended whose rank 0 did not say so itself. It is settled from outside, from what is known best to
// what is known least: what rank 0 let know (a goodbye_reason; life without progress), how its process or launcher ended, what
// the cluster says of its allocation, and silence. Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "common/job/attempt.h"
#include "coordinator/sites/site.h"

namespace orchestrate {

struct LossEvidence {
    std::string goodbye_reason;                                 // with which rank 0 left; empty: it said none
    std::optional<std::chrono::milliseconds> without_progress;  // it breathes, but did not get on for so long
    std::optional<SiteWorkerExit> exit;                         // of the process, or of mpirun or srun
    std::string allocation_state;  // Slurm's word, "TIMEOUT"; empty: no allocation, or it runs
    std::optional<std::chrono::milliseconds> silent_for;
    bool killed_by_coordinator = false;  // SIGKILL was sent to it: a death by that signal is no evidence
    std::string site_leaves = {};  // its pilot was told to end, by what ("signal 15"); empty: it was not
};

struct ClassifiedLoss {
    Cause cause = Cause::node_lost;
    std::string message;  // what happened to the worker, after its name: "was silent for 12 s"
};

// The rules:
// - What ends after its pilot was told to end was ended with it: preempted, or walltime where the cluster says so (never a
//   crash). The cluster's word on a lack of memory or a failed node is kept.
// - A worker that left on purpose, or was asked to (SIGTERM, SIGINT, SIGHUP), was preempted; by the end of its
//   allocation's time: walltime. But mpirun asks the other ranks to end when one has failed: its exit code tells.
// - Without progress: worker_crashed, not node_lost. What hangs once may hang each time, and crashes are counted.
// - What ended after Slurm had cancelled its step was ended by that, whatever its exit code: preempted, or the cause in Slurm's
//   word (TIMEOUT, NODE_FAIL).
// - SIGKILL has many senders; the cluster knows them (OUT_OF_MEMORY, TIMEOUT, PREEMPTED, NODE_FAIL), or else it is a
//   crash. Every other signal and exit code above 0 is a crash, whatever the cluster says, but for the one by
//   which ranks tell that another fell silent (common/base/worker_exit.h): node_lost.
// - A death by SIGKILL that the coordinator has sent says nothing: what it was sent for counts.
// - An exit code of 0 without a word, or nothing but silence: node_lost, unless the cluster knows better.
ClassifiedLoss classify_loss(LossEvidence evidence);

// Whether somebody has cancelled its step (scancel JOB.STEP), and not the allocation with it.
bool was_cancelled_alone(const LossEvidence& evidence);

// "was killed by signal 9"; launchers return 128 + N for a rank that was ended by signal N.
std::string exit_text(const SiteWorkerExit& exit);

}  // namespace orchestrate
