// Runs attempts on a thread of their own, so that the connection keeps breathing while a job trains. The
// thread owns the ranks' collective and the training engine.
#pragma once

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "common/base/log.h"
#include "common/protocol/messages.h"
#include "worker/agent/command_job.h"
#include "worker/collective.h"
#include "worker/training_api.h"

namespace orchestrate {

struct JobRunnerOptions {
    DeviceKind device = DeviceKind::cpu;
    int threads = 1;
    std::filesystem::path library_folder;
    std::filesystem::path trace_folder;  // Chrome traces of attempts are written there; empty: none
    std::chrono::milliseconds command_grace{8000};  // from SIGTERM to SIGKILL of a command
    Log log;
};

class JobRunner {
  public:
    // Called from the runner's thread; the last report of an attempt is AttemptEnded.
    using Report = std::function<void(const AttemptReport&)>;

    JobRunner(JobRunnerOptions options, std::unique_ptr<Collective> collective, Report report);

    // Stops a running attempt, releases the other ranks and joins.
    ~JobRunner();

    JobRunner(const JobRunner&) = delete;
    JobRunner& operator=(const JobRunner&) = delete;

    // Starts an attempt; only when none is running. Thread-safe.
    void start(const Lease& lease);

    // Asks the running attempt to end at its next step, with that cause. Thread-safe.
    void stop(Cause cause);

    // The coordinator has stored that attempt's first `number` epochs. Thread-safe.
    void epochs_stored(const AttemptId& attempt, std::int64_t number);

    // Optimiser steps of the attempt that runs now or ran last, as last reported; and a count that grows whenever an
    // attempt gets on. Thread-safe.
    std::int64_t step() const { return step_; }
    std::int64_t advances() const { return advances_; }

    // Which other rank was lost, if one was. Thread-safe.
    std::string lost_peer() const { return collective_->lost_peer(); }

    // False once a rank was lost: the worker can train no more and should end.
    bool usable() const { return usable_; }

  private:
    void run();
    AttemptEnded run_attempt(const Lease& lease);
    // Returns how many of them are stored, at the latest when no more are for a while.
    std::int64_t wait_for_stored_epochs(std::int64_t reported);
    AttemptOutcome train(const Lease& lease, AttemptObserver& observer);

    JobRunnerOptions options_;
    std::unique_ptr<Collective> collective_;
    std::unique_ptr<TrainingEngine> engine_;
    CommandJobs commands_;
    Report report_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::optional<Lease> lease_;
    AttemptId attempt_;               // started last
    std::int64_t stored_epochs_ = 0;  // of it
    bool ending_ = false;
    std::atomic<bool> stop_ = false;
    std::atomic<Cause> stop_cause_ = Cause::preempted;
    std::atomic<bool> usable_ = true;
    std::atomic<std::int64_t> step_ = 0;
    std::atomic<std::int64_t> advances_ = 0;
    std::thread thread_;
};

// What ranks other than 0 do: wait for a job, train it with the others, until rank 0 ends.
void follow_rank_0(const JobRunnerOptions& options, Collective& collective);

}  // namespace orchestrate
