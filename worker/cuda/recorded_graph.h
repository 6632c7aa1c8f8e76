// CapturedGraph as a CUDA graph.
#pragma once

#include <memory>

#include <c10/core/CachingDeviceAllocator.h>

#include "worker/training/runtime/captured_graph.h"

namespace orchestrate {

// `pool`: of the memory that graphs share; they must then be replayed one after another on one stream.
std::unique_ptr<CapturedGraph> make_recorded_graph(c10::MempoolId_t pool);

}  // namespace orchestrate
