// Work that must succeed on every rank or on none: no rank goes on to wait for one that has failed.
#pragma once

#include <chrono>
#include <functional>

#include "worker/collective.h"

namespace orchestrate {

// Marks an exception that every rank throws: they are in step after it. Any other exception leaves the others waiting.
class FailedOnAllRanks {
  public:
    virtual ~FailedOnAllRanks() = default;
};

template <class Error>
class OnAllRanks final : public Error, public FailedOnAllRanks {
  public:
    using Error::Error;
};

// Runs `work` on this rank and waits until it has ended on all. If it failed on any, every rank throws
// OnAllRanks of OutOfMemory, UserError or std::runtime_error, the first of these that one of them met; rank 0 quotes the first
// rank that did. `work` uses no collective. CollectiveError if a rank does not come within the deadline.
void run_on_all_ranks(Collective& collective, std::chrono::milliseconds deadline,
                      const std::function<void()>& work);

}  // namespace orchestrate
