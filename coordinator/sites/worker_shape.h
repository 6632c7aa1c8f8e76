// What a worker must be to take a job.
#pragma once

#include <compare>

namespace orchestrate {

struct WorkerShape {
    // Implicit: a number alone is that many ranks.
    // NOLINTNEXTLINE(google-explicit-constructor, hicpp-explicit-conversions)
    WorkerShape(int worker_ranks = 1, bool one_process = false)
        : ranks(worker_ranks), is_one_process(one_process && worker_ranks > 1) {}

    int ranks;  // slots that it fills: at least 1
    // One process, which runs commands that have that many slots; else as many processes, which train data-parallel and
    // whose first one can run commands. False for one rank, where both are the same.
    bool is_one_process;

    auto operator<=>(const WorkerShape&) const = default;  // NOLINT(modernize-use-nullptr)
};

}  // namespace orchestrate
