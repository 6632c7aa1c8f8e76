// Trains and evaluates one job on prepared data, over all ranks of a worker.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>

#include "common/base/durable_files.h"
#include "common/job/checkpoint.h"
#include "worker/data/prepared_data.h"
#include "worker/training/model/pretrained_weights.h"
#include "worker/training/runtime/device.h"
#include "worker/training/support/step_trace.h"
#include "worker/training_api.h"

namespace orchestrate {

// Until which the ranks wait for each other within a step.
inline constexpr std::chrono::milliseconds kStepDeadline{300000};

struct TrainerInputs {
    const JobConfig& config;
    const PreparedData& data;
    const TrainingDevice& device;
    Collective& collective;
    AttemptObserver& observer;  // called on rank 0 only
    const std::atomic<bool>& stop;
    const PretrainedWeights* pretrained = nullptr;  // what training starts from; null: from scratch
    std::filesystem::path models_folder = {};       // where the trained model is saved; empty: it is not
    // Examples of this rank's share that one forward and backward pass takes; 0: all of them. Changes memory,
    // not results.
    std::int64_t micro_batch = 0;
    bool retry_out_of_memory = false;    // with half the micro-batch, until it is 1
    std::int64_t pause_after_epoch = 0;  // ends there with a checkpoint and Cause::paused; 0: at the end
    CheckpointPlan checkpoints = {};
    DurableFiles* files = nullptr;      // that hold them; null: no checkpoints are read or written
    bool use_libtorch_kernels = false;  // on the CPU instead of ours: for tests
    // Called on every rank after each optimiser step (once its loss is known) with its mean loss over the global batch; may
    // be empty.
    std::function<void(std::int64_t step, double loss)> on_step = nullptr;
    StepTrace* trace = nullptr;            // records where the time of each step goes; null: nothing does
    std::int64_t bucket_floats = 1 << 18;  // gradients are summed over the ranks in slices of at least that
    // Called on every rank before each forward and backward pass (of a 0-based step) with its examples; what it
    // throws counts as thrown by the pass: for tests that take memory away. May be empty.
    std::function<void(std::int64_t step, std::int64_t examples)> before_pass = nullptr;
};

// Throws UserError for a configuration that does not fit the data or the pretrained weights, OutOfMemory (on every rank, if one ran out),
// CollectiveError for a lost peer.
// Divergence, a stop and a pause are told in the outcome. Every rank calls it; the result is on rank 0.
AttemptOutcome train(const TrainerInputs& inputs);

}  // namespace orchestrate
