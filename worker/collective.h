// What the ranks of a worker do together, free of torch: rank numbers, broadcast of jobs, and sums of gradients on
// CPUs. One implementation for a single rank, one over MPI in a shared object of its own per MPI library.
// Not thread-safe but for lost_peer(): one thread at a time calls a Collective.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
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

// A rank gives no sign of life: its process or its host was stopped, ended or cut off.
class PeerLost : public CollectiveError {
  public:
    using CollectiveError::CollectiveError;
};

// A sum in progress; it goes on while its starter computes. wait() polls and sleeps (it does not burn a core), and
// throws CollectiveError after the deadline, PeerLost as soon as a rank is lost. The buffer given to the operation
// must outlive it.
class PendingCollective {
  public:
    virtual ~PendingCollective() = default;
    virtual bool test() = 0;
    virtual void wait(std::chrono::milliseconds deadline) = 0;

    // When it was found to be complete; nothing before.
    virtual std::optional<std::chrono::steady_clock::time_point> completed_at() const = 0;
};

class Collective {
  public:
    virtual ~Collective() = default;
    virtual int rank() const = 0;
    virtual int size() const = 0;

    // Element-wise sum over all ranks, in place, the same bits on every rank.
    virtual std::unique_ptr<PendingCollective> all_reduce_sum(std::span<float> values) = 0;
    virtual std::unique_ptr<PendingCollective> all_reduce_sum(std::span<double> values) = 0;

    // Sends `bytes` of rank 0 to all; resized on the others. Without a deadline it waits for days, as an idle rank
    // does for the next job: under 1 % of a core, and PeerLost if another rank is lost meanwhile.
    virtual void broadcast(std::vector<std::byte>& bytes,
                           std::optional<std::chrono::milliseconds> deadline) = 0;

    // The bytes of every rank, in order of rank, on rank 0; empty on the others.
    virtual std::vector<std::vector<std::byte>> gather(std::span<const std::byte> bytes,
                                                       std::chrono::milliseconds deadline) = 0;

    // Which rank was lost, as far as this one knows: "rank 1 (process 4711 on n1) was silent for 12 s"; empty while
    // all are well. Every wait ends then. Thread-safe.
    virtual std::string lost_peer() const = 0;
};

// How soon ranks notice that one of them is gone.
struct CollectiveOptions {
    std::chrono::milliseconds heartbeat_interval{4000};  // between signs of life
    int missed_heartbeats = 3;                           // so many intervals of silence: lost
};

// The C symbol that an MPI shared object exports: initialises MPI and returns a Collective over MPI_COMM_WORLD
// (owned by the caller; its destructor finalises MPI).
inline constexpr const char* kOpenCollectiveSymbol = "orchestrate_open_mpi_collective";
using OpenCollective = Collective* (*)(const CollectiveOptions& options);

}  // namespace orchestrate
