// Forward and backward passes that read tensors alone: padded to few shapes, so that the pass of each shape can be recorded
// and repeated. Without recording, the same pass is done for each batch as it is.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "worker/training/model/model.h"
#include "worker/training/model/training_loss.h"
#include "worker/training/runtime/captured_graph.h"
#include "worker/training/support/step_trace.h"

namespace orchestrate {

class TensorPasses {
  public:
    // All of them must outlive it. `loss_sum`: a scalar to which each pass adds its loss.
    TensorPasses(const EncoderClassifier& model, const TrainingLoss& loss, at::Tensor loss_sum,
                 CapturedGraphs& recordings)
        : model_(model), loss_(loss), loss_sum_(std::move(loss_sum)), recordings_(recordings) {}

    // Adds the gradients of a batch, times step.inverse_weight, and its loss. `before_backward` (may be empty) is called
    // between the two passes, but not when they are recorded ones.
    void run(PackedBatch batch, const StepNumbers& step, const std::function<void()>& before_backward,
             StepTrace* trace);

    // Frees the memory of what was recorded.
    void forget() { recorded_.clear(); }

  private:
    struct Recorded {
        at::Tensor buffer;  // what the recorded pass reads
        std::unique_ptr<CapturedGraph> work;
    };

    // All that may be recorded: it reads no number of the host but the batch's shape.
    void pass(const BatchLayoutPtr& layout, const std::function<void()>& before_backward,
              StepTrace* trace) const;
    at::Tensor to_device(const PackedBatch& batch, const StepNumbers& step) const;
    // Null if this shape is not recorded.
    Recorded* recorded(const BatchShape& shape, const at::Tensor& numbers);

    const EncoderClassifier& model_;
    const TrainingLoss& loss_;
    at::Tensor loss_sum_;
    CapturedGraphs& recordings_;
    std::map<BatchShape, std::int64_t> uses_;
    std::map<BatchShape, Recorded> recorded_;
    bool told_of_many_ = false;
};

}  // namespace orchestrate
