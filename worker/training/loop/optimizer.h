// Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019) over flat parameters, and gradient clipping
// without reading the norm back.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "common/job/job_config.h"
#include "worker/training/model/named_tensor.h"
#include "worker/training/model/parameters.h"

namespace orchestrate {

// As torch.optim.AdamW and torch.optim.Adam, after torch.nn.utils.clip_grad_norm_.
class AdamOptimizer {
  public:
    // `parameters` must outlive the optimiser.
    AdamOptimizer(Parameters& parameters, const TrainConfig& config);

    // One step from the gradients in `parameters`, which are clipped to a total norm of max_grad_norm (0:
    // not). Returns the norm before clipping, a scalar tensor on the device.
    at::Tensor step(double learning_rate);
    // The same with a scalar on the device: reads no number of the host, and so can be recorded.
    at::Tensor step(const at::Tensor& learning_rate);

    // What it remembers from step to step; the tensors themselves.
    std::vector<NamedTensor> state() const;

  private:
    struct Group {
        std::vector<at::Tensor> values;
        std::vector<at::Tensor> gradients;
        std::vector<at::Tensor> mean;
        std::vector<at::Tensor> square;
        std::vector<at::Tensor> steps;
        double decay = 0;
    };

    // The last two: LibTorch's fused updates for this kind of learning rate.
    template <class LearningRate, class Update>
    at::Tensor step_with(const LearningRate& learning_rate, Update adam, Update adamw);

    Parameters& parameters_;
    TrainConfig config_;
    std::vector<Group> groups_;
};

}  // namespace orchestrate
