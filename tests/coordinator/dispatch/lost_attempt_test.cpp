#include "coordinator/dispatch/lost_attempt.h"

#include <csignal>

#include <gmock/gmock.h>

#include "common/base/worker_exit.h"

namespace orchestrate {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

SiteWorkerExit exit_code(int code) {
    return {"here-1", code, 0, ""};
}

SiteWorkerExit killed_by(int signal) {
    return {"here-1", 0, signal, ""};
}

struct Case {
    const char* name;
    LossEvidence evidence;
    Cause cause;
    const char* says;
};

LossEvidence evidence(std::optional<SiteWorkerExit> exit, std::string allocation = "",
                      std::optional<std::chrono::milliseconds> silent_for = {}) {
    return {"", {}, std::move(exit), std::move(allocation), silent_for};
}

// Of a step that Slurm ended, in its word.
SiteWorkerExit ended_by_slurm(std::string state, int code = 137) {
    return {"here-1", code, 0, "", std::move(state)};
}

// Of a worker that the coordinator has sent SIGKILL.
LossEvidence killed_by_us(LossEvidence evidence) {
    evidence.killed_by_coordinator = true;
    return evidence;
}

// Of a worker whose pilot was told to end.
LossEvidence at_leaving_site(LossEvidence evidence) {
    evidence.site_leaves = "signal 15";
    return evidence;
}

TEST(LostAttemptTest, SettlesTheCauseFromWhatIsKnownBest) {
    const std::vector<Case> cases{
        // What rank 0 let know comes first.
        {"goodbye_reason",
         {"signal 15", {}, exit_code(0), "NODE_FAIL", 12s},
         Cause::preempted,
         "left: signal 15"},
        {"goodbye_reason of one that hung", {"retired", 600s, {}, "", {}}, Cause::preempted, "left: retired"},
        {"asked, then killed for taking too long",
         {"signal 15", {}, killed_by(SIGKILL), "", {}},
         Cause::preempted,
         "left"},
        {"asked by mpirun, since a rank was killed",
         {"signal 15", {}, exit_code(137), "", {}},
         Cause::worker_crashed,
         "a rank was killed by signal 9"},
        {"asked by mpirun, since a rank failed",
         {"signal 15", {}, exit_code(kExitOutOfStep), "", {}},
         Cause::worker_crashed,
         "exit code 70"},
        {"asked by srun, at the end of its time",
         {"signal 15", {}, exit_code(137), "TIMEOUT", {}},
         Cause::walltime,
         "TIMEOUT"},
        {"hangs", {"", 600s, {}, "", {}}, Cause::worker_crashed, "no progress for 10 min 00 s"},
        {"hangs, then killed by us",
         {"", 600s, killed_by(SIGKILL), "", {}},
         Cause::worker_crashed,
         "progress_timeout"},
        // Then how its process or launcher ended.
        {"crashed", evidence(killed_by(SIGSEGV)), Cause::worker_crashed, "was killed by signal 11"},
        {"crashed while its node was going", evidence(killed_by(SIGSEGV), "NODE_FAIL"), Cause::worker_crashed,
         "11"},
        {"a rank crashed under mpirun", evidence(exit_code(128 + SIGABRT)), Cause::worker_crashed,
         "a rank was killed by signal 6"},
        {"killed", evidence(killed_by(SIGKILL)), Cause::worker_crashed, "was killed by signal 9"},
        {"a rank was killed", evidence(exit_code(137)), Cause::worker_crashed,
         "a rank was killed by signal 9"},
        {"killed and silent", evidence(exit_code(137), "", 12s), Cause::worker_crashed, "signal 9"},
        {"asked to end", evidence(killed_by(SIGTERM)), Cause::preempted, "signal 15"},
        {"asked through mpirun", evidence(exit_code(143)), Cause::preempted, "signal 15"},
        {"interrupted", evidence(killed_by(SIGINT)), Cause::preempted, "signal 2"},
        {"hung up", evidence(killed_by(SIGHUP)), Cause::preempted, "signal 1"},
        {"out of step", evidence(exit_code(kExitOutOfStep)), Cause::worker_crashed,
         "ended with exit code 70"},
        {"lost a rank", evidence(exit_code(kExitRankLost)), Cause::node_lost, "no sign of life"},
        {"failed", evidence(exit_code(1), "NODE_FAIL"), Cause::worker_crashed, "ended with exit code 1"},
        {"left without a word", evidence(exit_code(0)), Cause::node_lost, "ended with exit code 0"},
        {"did not start", evidence(SiteWorkerExit{"here-1", 0, 0, "no mpirun"}), Cause::worker_crashed,
         "could not be started: no mpirun"},
        // Then the cluster, of what the exit leaves open.
        {"killed at the end of its time", evidence(killed_by(SIGKILL), "TIMEOUT"), Cause::walltime,
         "Slurm says TIMEOUT"},
        {"asked at the end of its time", evidence(exit_code(143), "TIMEOUT"), Cause::walltime, "TIMEOUT"},
        {"preempted by force", evidence(exit_code(137), "PREEMPTED"), Cause::preempted, "PREEMPTED"},
        {"scancel", evidence(exit_code(137), "CANCELLED"), Cause::preempted, "CANCELLED"},
        {"memory of the node", evidence(exit_code(137), "OUT_OF_MEMORY"), Cause::out_of_memory,
         "OUT_OF_MEMORY"},
        {"node gone", evidence(killed_by(SIGKILL), "NODE_FAIL"), Cause::node_lost, "NODE_FAIL"},
        {"left without a word, node gone", evidence(exit_code(0), "NODE_FAIL"), Cause::node_lost,
         "NODE_FAIL"},
        {"Slurm has no opinion", evidence(killed_by(SIGKILL), "FAILED"), Cause::worker_crashed, "FAILED"},
        {"silent at the end of its time", evidence({}, "TIMEOUT", 12s), Cause::walltime,
         "silent for 12 s; Slurm says"},
        // Its step was ended, and not by the job.
        {"scancel of the step", evidence(ended_by_slurm("CANCELLED")), Cause::preempted,
         "Slurm says that its step was ended: CANCELLED"},
        {"a rank that saw its peers cancelled", evidence(ended_by_slurm("CANCELLED", kExitOutOfStep)),
         Cause::preempted, "exit code 70"},
        {"scancel of the step, which said goodbye",
         {"signal 15", {}, ended_by_slurm("CANCELLED"), "", {}},
         Cause::preempted,
         "CANCELLED"},
        {"end of the step's time", evidence(ended_by_slurm("TIMEOUT")), Cause::walltime, "TIMEOUT"},
        {"node of the step", evidence(ended_by_slurm("NODE_FAIL")), Cause::node_lost, "NODE_FAIL"},
        {"the step is cancelled with its allocation", evidence(ended_by_slurm("CANCELLED"), "TIMEOUT"),
         Cause::walltime, "Slurm says TIMEOUT"},
        {"hung, and its step was cancelled",
         {"", 600s, ended_by_slurm("CANCELLED"), "", {}},
         Cause::worker_crashed,
         "progress_timeout"},
        {"a word that Slurm does not have", evidence(ended_by_slurm("MOOD")), Cause::worker_crashed,
         "signal 9"},
        // What the coordinator itself has killed did not crash.
        {"silent, then killed by us", killed_by_us(evidence(killed_by(SIGKILL), "", 12s)), Cause::node_lost,
         "was silent for 12 s"},
        {"silent, then killed by us through a launcher", killed_by_us(evidence(exit_code(137), "", 12s)),
         Cause::node_lost, "was silent for 12 s"},
        {"hangs, then killed by us", killed_by_us({"", 600s, killed_by(SIGKILL), "", {}}),
         Cause::worker_crashed, "progress_timeout"},
        {"crashed before our signal came", killed_by_us(evidence(killed_by(SIGSEGV), "", 12s)),
         Cause::worker_crashed, "signal 11"},
        // Nothing that ends after its pilot was told to end has crashed.
        {"killed with its pilot", at_leaving_site(evidence(exit_code(137))), Cause::preempted,
         "was ended with its pilot (signal 15)"},
        {"killed by a signal with its pilot", at_leaving_site(evidence(killed_by(SIGKILL))), Cause::preempted,
         "signal 9"},
        {"lost a rank that was ended before", at_leaving_site(evidence(exit_code(kExitRankLost))),
         Cause::preempted, "exit code 71"},
        {"failed since its peers were ended", at_leaving_site(evidence(exit_code(kExitOutOfStep), "RUNNING")),
         Cause::preempted, "exit code 70"},
        {"ended with its pilot at the end of its time", at_leaving_site(evidence(exit_code(137), "TIMEOUT")),
         Cause::walltime, "TIMEOUT"},
        {"silent, its pilot was told to end", at_leaving_site(evidence({}, "", 12s)), Cause::preempted,
         "pilot"},
        {"said goodbye, its pilot was told to end",
         at_leaving_site({"signal 15", {}, exit_code(137), "PREEMPTED", {}}), Cause::preempted, "PREEMPTED"},
        {"its node failed while it left", at_leaving_site(evidence(exit_code(137), "NODE_FAIL")),
         Cause::node_lost, "NODE_FAIL"},
        {"the memory of its node ran out while it left",
         at_leaving_site(evidence(exit_code(137), "OUT_OF_MEMORY")), Cause::out_of_memory, "OUT_OF_MEMORY"},
        // Silence is the weakest.
        {"silent", evidence({}, "", 12s), Cause::node_lost, "was silent for 12 s"},
        {"gone", evidence({}), Cause::node_lost, "is gone"},
    };
    for (const Case& one : cases) {
        const ClassifiedLoss settled = classify_loss(one.evidence);
        EXPECT_EQ(settled.cause, one.cause) << one.name << ": " << to_string(settled.cause);
        EXPECT_THAT(settled.message, HasSubstr(one.says)) << one.name;
    }
}

TEST(LostAttemptTest, AStepIsCancelledAloneIfItsAllocationGoesOn) {
    EXPECT_TRUE(was_cancelled_alone(evidence(ended_by_slurm("CANCELLED"))));
    EXPECT_FALSE(was_cancelled_alone(evidence(ended_by_slurm("CANCELLED"), "CANCELLED")));
    EXPECT_FALSE(was_cancelled_alone(at_leaving_site(evidence(ended_by_slurm("CANCELLED")))));
    EXPECT_FALSE(was_cancelled_alone(evidence(ended_by_slurm("TIMEOUT"))));
    EXPECT_FALSE(was_cancelled_alone(evidence(exit_code(137))));
    EXPECT_FALSE(was_cancelled_alone(evidence({})));
}

}  // namespace
}  // namespace orchestrate
