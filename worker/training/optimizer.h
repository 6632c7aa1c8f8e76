// AdamW over flat parameters, gradient clipping without reading the norm back, and the learning-rate
// schedules.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "common/job_config.h"
#include "worker/training/parameters.h"

namespace orchestrate {

// The learning rate of an optimiser step (0-based) of `steps`, as transformers' get_*_schedule_with_warmup:
// linear warm-up over ceil(warmup_ratio * steps) steps, then constant, linear to 0, or half a cosine to 0.
double learning_rate_at(const TrainConfig& config, std::int64_t step, std::int64_t steps);

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
