// One optimiser step over all ranks: forward and backward passes over this rank's share of a global batch,
// sums over the ranks, clipping, the optimiser.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "worker/training/gradient_buckets.h"
#include "worker/training/model.h"
#include "worker/training/optimizer.h"
#include "worker/training/parameters.h"
#include "worker/training/reducer.h"
#include "worker/training/trainer.h"

namespace orchestrate {

class TrainingStep {
  public:
    struct Result {
        double mean_loss = 0;  // over the global batch
        bool stop = false;     // rank 0 was told to stop: the parameters are as before
    };

    // All of them must outlive it.
    TrainingStep(const TrainerInputs& inputs, const CompactVocabulary& vocabulary, Parameters& parameters,
                 const EncoderClassifier& model);

    // `batch`: rows of the training part, the same on every rank. `step`: 0-based. Every rank calls it.
    Result run(std::span<const std::int64_t> batch, std::int64_t step, double learning_rate);

  private:
    // Adds the gradients of this rank's share.
    void backward_passes(std::span<const std::int64_t> batch, std::int64_t step);

    // The sum of losses and the wish to stop travel behind the gradients.
    at::Tensor statistics();
    void sum_over_ranks();
    void write_statistics(double loss_sum);
    Result read_statistics(std::int64_t batch_rows);

    const TrainerInputs& in_;
    const CompactVocabulary& vocabulary_;
    Parameters& parameters_;
    const EncoderClassifier& model_;
    AdamW optimizer_;
    std::unique_ptr<Reducer> reducer_;
    std::unique_ptr<GradientBuckets> buckets_;
};

}  // namespace orchestrate
