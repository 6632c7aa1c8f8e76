// AdamW over flat parameters, and gradient clipping without reading the norm back.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "common/job_config.h"
#include "worker/training/parameters.h"

namespace orchestrate {

// AdamW (Loshchilov and Hutter 2019), as torch.optim.AdamW.
class AdamW {
  public:
    // `parameters` must outlive the optimiser.
    AdamW(Parameters& parameters, const TrainConfig& config);

    // One step from the gradients in `parameters`, which are clipped to a total norm of max_grad_norm (0:
    // not). Returns the norm before clipping, a scalar tensor on the device.
    at::Tensor step(double learning_rate);

  private:
    struct Group {
        std::vector<at::Tensor> values;
        std::vector<at::Tensor> gradients;
        std::vector<at::Tensor> mean;
        std::vector<at::Tensor> square;
        std::vector<at::Tensor> steps;
        double decay = 0;
    };

    Parameters& parameters_;
    TrainConfig config_;
    std::vector<Group> groups_;
};

}  // namespace orchestrate
