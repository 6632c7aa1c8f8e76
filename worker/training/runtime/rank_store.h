// Where the ranks of a worker find each other for NCCL: a c10d store that rank 0 serves, on the chosen interface only.
#pragma once

#include <chrono>

#include <c10/util/intrusive_ptr.h>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include "worker/collective.h"

namespace orchestrate {

// Every rank calls it. The interface is that of ORCHESTRATE_INTERFACE, or the one that this host's name leads to.
c10::intrusive_ptr<c10d::Store> make_rank_store(Collective& collective, std::chrono::milliseconds deadline);

}  // namespace orchestrate
