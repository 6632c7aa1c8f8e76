// Work that must succeed on every rank or on none: no rank goes on to wait for one that has failed.
#pragma once

#include <chrono>
#include <functional>

#include "worker/collective.h"

namespace orchestrate {

// Runs `work` on this rank and waits until it has ended on all. If it failed on any, every rank throws
// OutOfMemory, UserError or std::runtime_error, the first of these that one of them met; rank 0 quotes the first
// rank that did. `work` uses no collective. CollectiveError if a rank does not come within the deadline.
void run_on_all_ranks(Collective& collective, std::chrono::milliseconds deadline,
                      const std::function<void()>& work);

}  // namespace orchestrate
