// What precision suits the processors and GPUs of this machine: what `train.precision = "auto"` is settled by.
#pragma once

#include <istream>

#include "experiments/load_study.h"

namespace orchestrate {

// Looks at this machine; without a GPU or its driver, at the CPU alone.
DevicePrecision look_at_devices();

// Of a text like /proc/cpuinfo: bf16 where it was measured to be quicker than fp32.
Precision precision_of_cpu(std::istream& cpuinfo);

// 0 if there is no GPU; otherwise the lowest major compute capability of those that CUDA's driver shows.
int lowest_compute_capability();

}  // namespace orchestrate
