// Sums of gradients over the ranks of a worker, hidden behind two calls: all that the training loop knows of
// distribution. One implementation stands on c10d: over MPI for CPUs, over NCCL for GPUs.
#pragma once

#include <chrono>
#include <memory>

#include <ATen/core/Tensor.h>

#include "worker/collective.h"

namespace orchestrate {

class Reducer {
  public:
    virtual ~Reducer() = default;

    // Starts to sum a contiguous tensor over all ranks, in place. Every rank adds tensors of the same sizes
    // in the same order. Their values must not be touched until finalize() has returned.
    virtual void add(const at::Tensor& values) = 0;

    // Waits until everything added since the last call is summed. CollectiveError if a peer is lost.
    virtual void finalize() = 0;
};

// Over c10d on a Collective, which must outlive it. `deadline`: of one sum.
std::unique_ptr<Reducer> make_collective_reducer(Collective& collective, std::chrono::milliseconds deadline);

}  // namespace orchestrate
