#include "coordinator/dispatch/lost_attempt.h"

#include <csignal>

#include "common/base/time_text.h"
#include "common/base/worker_exit.h"

namespace orchestrate {

namespace {

constexpr int kSignalExitCodes = 128;

// That ended the worker, or one of its ranks; 0: none.
int signal_of(const SiteWorkerExit& exit) {
    if (exit.signal != 0) {
        return exit.signal;
    }
    return exit.exit_code > kSignalExitCodes && exit.exit_code < kSignalExitCodes + NSIG
               ? exit.exit_code - kSignalExitCodes
               : 0;
}

bool asks_to_end(int signal) {
    return signal == SIGTERM || signal == SIGINT || signal == SIGHUP;
}

// A launcher's exit code that is neither success nor the answer to a signal that asks.
bool is_failure_of_a_rank(const SiteWorkerExit& exit) {
    return exit.signal == 0 && exit.exit_code != 0 && !asks_to_end(signal_of(exit));
}

std::optional<Cause> cause_of_allocation(const std::string& state) {
    if (state == "TIMEOUT" || state == "DEADLINE") {
        return Cause::walltime;
    }
    if (state == "PREEMPTED" || state == "CANCELLED") {
        return Cause::preempted;
    }
    if (state == "OUT_OF_MEMORY") {
        return Cause::out_of_memory;
    }
    if (state == "NODE_FAIL" || state == "BOOT_FAIL") {
        return Cause::node_lost;
    }
    return std::nullopt;
}

ClassifiedLoss cause_at_leaving_site(const LossEvidence& evidence) {
    std::string text = "was ended with its pilot (" + evidence.site_leaves + ")";
    if (evidence.exit) {
        text += ": it " + exit_text(*evidence.exit);
    }
    if (!evidence.allocation_state.empty()) {
        text += "; Slurm says " + evidence.allocation_state;
    }
    return {cause_of_allocation(evidence.allocation_state).value_or(Cause::preempted), text};
}

std::string duration(std::chrono::milliseconds time) {
    return duration_text(std::chrono::duration<double>(time));
}

}  // namespace

std::string exit_text(const SiteWorkerExit& exit) {
    if (!exit.error.empty()) {
        return "could not be started: " + exit.error;
    }
    if (exit.signal != 0) {
        return "was killed by signal " + std::to_string(exit.signal);
    }
    const std::string text = "ended with exit code " + std::to_string(exit.exit_code);
    const int signal = signal_of(exit);
    return signal == 0 ? text : text + " (a rank was killed by signal " + std::to_string(signal) + ")";
}

bool was_cancelled_alone(const LossEvidence& evidence) {
    return evidence.site_leaves.empty() && evidence.allocation_state.empty() && evidence.exit &&
           evidence.exit->step_state == "CANCELLED";
}

ClassifiedLoss classify_loss(LossEvidence evidence) {
    if (evidence.killed_by_coordinator && evidence.exit && signal_of(*evidence.exit) == SIGKILL) {
        evidence.exit.reset();
    }
    if (!evidence.site_leaves.empty()) {
        return cause_at_leaving_site(evidence);
    }
    if (!evidence.goodbye_reason.empty() && !(evidence.exit && is_failure_of_a_rank(*evidence.exit))) {
        return {Cause::preempted, "left: " + evidence.goodbye_reason};
    }
    if (evidence.without_progress) {
        return {Cause::worker_crashed,
                "made no progress for " + duration(*evidence.without_progress) + " (study.progress_timeout)"};
    }
    const auto allocation = cause_of_allocation(evidence.allocation_state);
    const std::string cluster =
        evidence.allocation_state.empty() ? "" : "; Slurm says " + evidence.allocation_state;
    if (evidence.exit) {
        const std::string text = exit_text(*evidence.exit);
        if (!evidence.exit->error.empty()) {
            return {Cause::worker_crashed, text};
        }
        if (const auto step = cause_of_allocation(evidence.exit->step_state)) {
            return {allocation.value_or(*step),
                    text + "; Slurm says that its step was ended: " + evidence.exit->step_state + cluster};
        }
        const int signal = signal_of(*evidence.exit);
        if (asks_to_end(signal)) {
            return {allocation.value_or(Cause::preempted), text + cluster};
        }
        if (signal == SIGKILL) {
            return {allocation.value_or(Cause::worker_crashed), text + cluster};
        }
        if (signal != 0) {
            return {Cause::worker_crashed, text};
        }
        if (evidence.exit->exit_code == kExitRankLost) {
            return {Cause::node_lost, text + " (a rank gave no sign of life)"};
        }
        if (evidence.exit->exit_code != 0) {
            return {Cause::worker_crashed, text};
        }
        return {allocation.value_or(Cause::node_lost), text + cluster};
    }
    if (evidence.silent_for) {
        return {allocation.value_or(Cause::node_lost),
                "was silent for " + duration(*evidence.silent_for) + cluster};
    }
    return {allocation.value_or(Cause::node_lost), "is gone" + cluster};
}

}  // namespace orchestrate
