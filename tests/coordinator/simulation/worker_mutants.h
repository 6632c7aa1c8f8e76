// Diagnostics of a worker's core that the simulation must find. One more: a subclass of WorkerCore that overrides a decision,
// and a line in the table of worker_mutants.cpp.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "worker/core/worker_core.h"

namespace orchestrate::test {

struct WorkerMutant {
    std::string name;
    std::unique_ptr<WorkerCore> (*make)(WorkerCore::Options options, WorkerEnv& env, DurableFiles& files,
                                        Log log, WorkerCore::Time now);
};

const std::vector<WorkerMutant>& worker_mutants();

}  // namespace orchestrate::test
