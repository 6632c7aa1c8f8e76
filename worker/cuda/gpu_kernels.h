// What this GPU does better than one LibTorch operation after another.
#pragma once

#include <string>
#include <vector>

#include <c10/core/Device.h>

#include "worker/training/operations/device_kernels.h"

namespace orchestrate {

// Kernels of ours, flash attention, products that sum in fp32; as far as they give what LibTorch's operations give on this
// device. `notes`: a warning for each that does not.
DeviceKernels gpu_kernels(c10::Device device, std::vector<std::string>& notes);

}  // namespace orchestrate
