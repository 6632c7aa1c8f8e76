// bf16 twins of all parameters, in one tensor: weights are rounded once per optimiser step, by the device, and not where they
// are read.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace orchestrate {

class Bf16Weights {
  public:
    // `values`: one flat tensor that holds all parameters, on any device.
    explicit Bf16Weights(const at::Tensor& values) : values_(values) {}

    // The twin of a view of the values, up to date unless recorded work has changed them since; undefined if it is none.
    at::Tensor of(const at::Tensor& weight);

    // Rounds all; can be recorded. Recorded work that changes the values must do it too.
    void refresh();

    // Rounds all if the host's code has changed the values.
    void refresh_if_stale();

  private:
    at::Tensor values_;
    at::Tensor rounded_;
    std::int64_t seen_version_ = -1;
};

}  // namespace orchestrate
