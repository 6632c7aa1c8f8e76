// Sums of gradients over the ranks of a worker, hidden behind two calls: all that the training loop knows of
// distribution. One implementation stands on c10d: over MPI for CPUs, over NCCL for GPUs.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "worker/collective.h"

namespace orchestrate {

// When one tensor was summed.
struct SumTimes {
    std::int64_t bytes = 0;
    std::chrono::steady_clock::time_point begin;
    std::chrono::steady_clock::time_point end;  // found complete; on a GPU: handed to its stream
};

class Reducer {
  public:
    virtual ~Reducer() = default;

    // Starts to sum a contiguous tensor over all ranks, in place. Every rank adds tensors of the same sizes
    // in the same order. Their values must not be touched until finalize() has returned.
    virtual void add(const at::Tensor& values) = 0;

    // Waits until everything added since the last call is summed, and tells when each was, in that order.
    // CollectiveError if a peer is lost.
    virtual std::vector<SumTimes> finalize() = 0;
};

// Over c10d on a Collective, which must outlive it. `deadline`: of one sum.
std::unique_ptr<Reducer> make_collective_reducer(Collective& collective, std::chrono::milliseconds deadline);

}  // namespace orchestrate
