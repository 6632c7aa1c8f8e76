// What the ranks of a worker do together, free of torch: rank numbers, broadcast of jobs, and sums of gradients on
// CPUs. One implementation for a single rank, one over MPI in a shared object of its own per MPI library.
// Not thread-safe: one thread at a time calls a Collective.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace orchestrate {

// A peer did not take part before the deadline, or is gone.
class CollectiveError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// A sum in progress. wait() polls and sleeps (it does not burn a core), makes progress for all pending operations,
// and throws CollectiveError after the deadline. The buffer given to the operation must outlive it.
class PendingCollective {
  public:
    virtual ~PendingCollective() = default;
    virtual bool test() = 0;
    virtual void wait(std::chrono::milliseconds deadline) = 0;
};

class Collective {
  public:
    virtual ~Collective() = default;
    virtual int rank() const = 0;
    virtual int size() const = 0;

    // Element-wise sum over all ranks, in place, the same bits on every rank.
    virtual std::unique_ptr<PendingCollective> all_reduce_sum(std::span<float> values) = 0;
    virtual std::unique_ptr<PendingCollective> all_reduce_sum(std::span<double> values) = 0;

    // Sends `bytes` of rank 0 to all; resized on the others. While idle, a rank may wait for the next job for days:
    // no deadline, under 1 % of a core.
    virtual void broadcast(std::vector<std::byte>& bytes) = 0;

    // The bytes of every rank, in order of rank, on rank 0; empty on the others.
    virtual std::vector<std::vector<std::byte>> gather(std::span<const std::byte> bytes,
                                                       std::chrono::milliseconds deadline) = 0;
};

// The collective of a worker with one rank.
std::unique_ptr<Collective> make_single_rank_collective();

// The C symbol that an MPI shared object exports: initialises MPI and returns a Collective over MPI_COMM_WORLD
// (owned by the caller; its destructor finalises MPI).
inline constexpr const char* kOpenCollectiveSymbol = "orchestrate_open_mpi_collective";
using OpenCollective = Collective* (*)();

}  // namespace orchestrate
