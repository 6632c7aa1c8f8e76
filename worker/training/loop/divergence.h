// Notices a training that has diverged: a loss that is not finite, or one far above that of guessing for many
// steps, so that the noise of single batches does not end a run. Free of torch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace orchestrate {

class DivergenceWatch {
  public:
    DivergenceWatch(std::size_t classes, double learning_rate, std::int64_t steps);

    // After each step, counted from 1, with the mean loss of its global batch. If the training has diverged:
    // what has happened, and what to do.
    std::optional<std::string> after_step(std::int64_t step, double loss);

    // After the evaluation that follows a step: the last update may have spoiled the weights.
    std::optional<std::string> after_evaluation(std::int64_t step, double loss) const;
    // Sum over the steps of the current window: all that it remembers.
    double window_loss() const { return window_loss_; }
    void restore(double window_loss) { window_loss_ = window_loss; }

  private:
    std::string place_and_remedy(std::int64_t step) const;

    double guessing_;  // loss of giving every class the same probability
    double learning_rate_;
    std::int64_t steps_;
    double window_loss_ = 0;
};

// What the losses of a training say at its end.
struct FinalLosses {
    double train;     // mean over the kept epoch, of what was trained on
    double guessing;  // the lowest of that loss that one prediction for all texts can reach
    double test;      // cross-entropy of the final weights
    double
        label_entropy;  // of the training part: the cross-entropy of knowing nothing but how frequent classes are
};

// The test loss lies within 1 % of the label entropy; or neither loss is 1 % below that of knowing nothing, as where
// the predictions have not even come to the frequencies of the classes.
bool has_learned_nothing(const FinalLosses& losses);

}  // namespace orchestrate
