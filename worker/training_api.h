// The door between the agent and the training part (LibTorch), which is opened with dlopen when the first training
// job arrives. No torch type crosses it.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>

#include "common/job/attempt.h"
#include "common/job/checkpoint.h"
#include "common/job/job_config.h"
#include "worker/collective.h"

namespace orchestrate {

enum class DeviceKind { cpu, cuda };
BOOST_DESCRIBE_ENUM(DeviceKind, cpu, cuda)

// Receives what happens during an attempt. Called on rank 0 only, from the training thread; must return quickly.
class AttemptObserver {
  public:
    virtual ~AttemptObserver() = default;
    virtual void on_progress(const TrainingProgress& progress) = 0;  // about once a second
    virtual void on_epoch(const EpochMetrics& metrics) = 0;
    virtual void on_log(const std::string& line) = 0;  // for the attempt's log file
    // A checkpoint lies on disk.
    virtual void on_checkpoint(const StoredCheckpoint&) {}
    // The attempt goes on from a checkpoint; the epochs before it are reported again.
    virtual void on_resume(const ResumePoint&) {}
    // The attempt got on: a step, some texts evaluated, a part of the data prepared. An attempt that does not call it
    // for long (study.progress_timeout) is ended. Costs next to nothing.
    virtual void on_advance() {}
};

// The same on every rank of a worker.
struct AttemptRequest {
    JobConfig config;
    JobPaths paths;
    JobResources resources;
    CheckpointPlan checkpoints;
    std::string models_folder = "";  // where the model is saved, if resources say so
    int threads = 1;                 // of each rank
    // Where the time of the first steps goes is written there as a Chrome trace, per rank; empty: nowhere.
    std::string trace_file = "";
};
BOOST_DESCRIBE_STRUCT(AttemptRequest, (),
                      (config, paths, resources, checkpoints, models_folder, threads, trace_file))

// How an attempt ended. `result` is meaningful on rank 0 if cause is succeeded.
struct AttemptOutcome {
    Cause cause = Cause::succeeded;
    std::string message;  // what happened and what to do; empty on success
    AttemptResult result;
    bool asks_again = false;  // as AttemptEnded
};

// Lives as long as the worker; keeps tokenized data and pretrained weights in memory between jobs. Not thread-safe.
class TrainingEngine {
  public:
    virtual ~TrainingEngine() = default;

    // "cpu avx2", "cpu amx", "cuda NVIDIA H100"...
    virtual std::string device_class() const = 0;

    // Trains one job over all ranks of `collective`; every rank calls it with the same request. Never throws for
    // what a job can do wrong: the outcome tells. `stop` set from another thread on rank 0 ends the attempt at the
    // next step on all ranks with cause `preempted`, after a checkpoint. CollectiveError (a lost peer, or ranks out of
    // step since one failed alone) is thrown: the worker can train no more.
    virtual AttemptOutcome run(const AttemptRequest& request, Collective& collective,
                               AttemptObserver& observer, const std::atomic<bool>& stop) = 0;

    // Writes row, part, class and text of each row as CSV: what the model reads.
    virtual void write_texts(const JobConfig& config, const JobPaths& paths,
                             const std::filesystem::path& destination) = 0;
};

// The C symbol that the training shared object exports.
// `library_folder`: where the shared objects of CUDA and MPI lie. The caller owns the engine.
inline constexpr const char* kOpenTrainingEngineSymbol = "orchestrate_open_training_engine";
using OpenTrainingEngine = TrainingEngine* (*)(DeviceKind device, const char* library_folder);

}  // namespace orchestrate
