// A tensor and what files call it.
#pragma once

#include <string>

#include <ATen/core/Tensor.h>

namespace orchestrate {

struct NamedTensor {
    std::string name;
    at::Tensor tensor;
};

}  // namespace orchestrate
