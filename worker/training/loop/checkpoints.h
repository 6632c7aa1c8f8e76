// Checkpoints of one training: when they are written, what is in them, how all ranks go on from one. Weights, moments
// and counters are tensors, everything else a TrainingState. There is no state of a random generator: the order of
// examples is a function of (seed, epoch), dropout of (seed, step, example, site, element).
#pragma once

#include <chrono>
#include <cstdint>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "worker/training/loop/trainer.h"
#include "worker/training/model/named_tensor.h"

namespace orchestrate {

// How far a training is, besides its tensors. Sums are kept as they are, so that going on gives the same bits.
struct TrainingState {
    std::int64_t step = 0;     // optimiser steps done
    double loss_of_epoch = 0;  // weighted sum over the batches of the epoch that is not finished
    double weight_of_epoch = 0;
    double seconds_of_epoch = 0;       // trained in it
    double train_seconds = 0;          // in the finished ones
    double window_loss = 0;            // DivergenceWatch's
    std::vector<EpochMetrics> epochs;  // finished: trained and evaluated
    bool stopped_early = false;        // no epoch follows
    std::int64_t pass_rows = 0;        // of the micro-batch; a lack of memory may have made it smaller
    bool has_kept_values = false;      // the kept epoch's weights are other than the current ones
    std::string device_class;          // that trained it; another one goes on with slightly other numbers
    int ranks = 1;
};
BOOST_DESCRIBE_STRUCT(TrainingState, (),
                      (step, loss_of_epoch, weight_of_epoch, seconds_of_epoch, train_seconds, window_loss,
                       epochs, stopped_early, pass_rows, has_kept_values, device_class, ranks))

class Checkpoints {
  public:
    // `inputs` must outlive it. `tensors`: all that training changes, in the same order on every rank.
    Checkpoints(const TrainerInputs& inputs, std::int64_t steps, std::vector<NamedTensor> tensors);

    // Every rank calls it: rank 0 reads the best checkpoint that can be read into the tensors and sends them to the
    // others. `kept_values` becomes a tensor like `values_like` if the state has such. Nothing, and nothing
    // changed: begin at the first step. CollectiveError if a peer is lost.
    std::optional<TrainingState> resume(const at::Tensor& values_like, at::Tensor& kept_values);

    // Whether it is time for the next one: false while one is being written, and on other ranks than 0. Reports the one
    // that has been written meanwhile.
    bool due();

    // Copies what training changes and returns; a thread of its own writes the copy, after the one before. On rank 0,
    // does nothing on others, or if this step has been written. A disk that cannot be written is told and else ignored:
    // the training goes on.
    void begin_write(TrainingState state, const at::Tensor& kept_values);

    // The same, on disk when it returns: before the worker leaves.
    void write(const TrainingState& state, const at::Tensor& kept_values);

  private:
    struct Written {
        StoredCheckpoint checkpoint;
        std::chrono::duration<double> taken;
    };
    bool writes() const;
    void take_snapshot(const at::Tensor& kept_values);
    // Waits for what is being written, and reports it.
    void finish_writing();
    // Into the tensors, once all of them are known to fit. Throws UserError.
    TrainingState take(const class CheckpointContent& content, const at::Tensor& values_like,
                       at::Tensor& kept_values);
    void send_to_all_ranks(std::optional<TrainingState>& state, const at::Tensor& values_like,
                           at::Tensor& kept_values);

    const TrainerInputs& in_;
    std::string job_identity_;
    std::int64_t steps_;
    std::vector<NamedTensor> tensors_;
    std::int64_t begun_step_ = 0;  // nothing is new before the step after it
    std::chrono::steady_clock::time_point due_at_;
    std::vector<NamedTensor> snapshot_;  // on the host; its memory is kept from one to the next
    std::future<Written> writing_;       // of the snapshot
};

}  // namespace orchestrate
