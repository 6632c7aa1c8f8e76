// The Reducer that stands on any c10d backend.
#pragma once

#include <chrono>
#include <memory>

#include <c10/util/intrusive_ptr.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>

#include "worker/training/runtime/reducer.h"

namespace orchestrate {

// `deadline`: of one sum.
std::unique_ptr<Reducer> make_c10d_reducer(c10::intrusive_ptr<c10d::Backend> backend,
                                           std::chrono::milliseconds deadline);

}  // namespace orchestrate
