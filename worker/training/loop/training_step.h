// One optimiser step over all ranks: forward and backward passes over this rank's share of a global batch,
// sums over the ranks, clipping, the optimiser. One rank on a device that works behind its host is not waited for: the losses of
// several steps are read at once.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "worker/training/loop/gradient_buckets.h"
#include "worker/training/loop/optimizer.h"
#include "worker/training/loop/tensor_passes.h"
#include "worker/training/loop/trainer.h"
#include "worker/training/model/model.h"
#include "worker/training/model/parameters.h"
#include "worker/training/model/training_loss.h"
#include "worker/training/runtime/captured_graph.h"
#include "worker/training/runtime/reducer.h"

namespace orchestrate {

class TrainingStep {
  public:
    struct Result {
        double mean_loss = 0;  // over the global batch
        double weight = 0;     // of the global batch in a mean over several
        bool stop = false;     // rank 0 was told to stop: the parameters are as before
    };

    // On a device whose host need not wait, so many steps at most are begun before their losses are read.
    static constexpr std::int64_t kStepsPerReading = 16;

    // All of them must outlive it.
    TrainingStep(const TrainerInputs& inputs, const CompactVocabulary& vocabulary, Parameters& parameters,
                 const EncoderClassifier& model);

    // Before the first step, on every rank.
    void join_ranks();

    const TrainingLoss& loss() const { return loss_; }

    // `batch`: rows of the training part, the same on every rank. `step`: 0-based. Every rank calls it. If a
    // rank runs out of memory, the step is done again with half the micro-batch, or OutOfMemory is thrown on
    // every rank. Returns, in order, the steps whose losses are known by now and were not before; one with `stop` was not
    // done, and is the last.
    std::vector<Result> run(std::span<const std::int64_t> batch, std::int64_t step, double learning_rate);

    // Waits for the steps that were begun: all of them are known then.
    std::vector<Result> finish();

    // Examples of this rank's share in one forward and backward pass, at most. Changes memory, and the last digits.
    std::int64_t pass_rows() const { return pass_rows_; }
    void set_pass_rows(std::int64_t rows) { pass_rows_ = rows; }

    // What the optimiser remembers; the tensors themselves.
    std::vector<NamedTensor> optimizer_state() const { return optimizer_.state(); }

  private:
    bool defers_results() const {
        return model_.operations().reads_tensors_only() && in_.collective.size() == 1;
    }
    Result run_and_wait(std::span<const std::int64_t> batch, std::int64_t step, double learning_rate);
    void begin(std::span<const std::int64_t> batch, std::int64_t step, double learning_rate, double weight);
    void update(double learning_rate);

    // Adds the gradients and losses of this rank's share.
    void backward_passes(std::span<const std::int64_t> batch, std::int64_t step, double batch_weight);

    // Half the micro-batch from now on; OutOfMemory if that cannot be or must not be.
    void halve_micro_batch(std::int64_t step, std::int64_t ranks, const std::string& shortage);

    // The sum of losses, the wish to stop and the number of ranks without memory travel behind the gradients.
    at::Tensor statistics();
    void sum_over_ranks();

    const TrainerInputs& in_;
    const CompactVocabulary& vocabulary_;
    Parameters& parameters_;
    const EncoderClassifier& model_;
    TrainingLoss loss_;
    AdamOptimizer optimizer_;
    std::int64_t pass_rows_;  // examples of this rank's share in one forward and backward pass, at most
    std::unique_ptr<Reducer> reducer_;
    std::unique_ptr<GradientBuckets> buckets_;

    // On devices.
    CapturedGraphs recordings_;
    TensorPasses passes_;
    RepeatedWork update_;
    at::Tensor learning_rate_;            // scalar
    at::Tensor unread_;                   // [kStepsPerReading, statistics]
    std::vector<double> unread_weights_;  // of the steps that were begun
    std::chrono::steady_clock::time_point read_at_;
};

}  // namespace orchestrate
