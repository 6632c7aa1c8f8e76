// The messages between the coordinator and a pilot (a Slurm allocation in which workers run), after the handshake of
// connection_messages.h.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include <boost/describe.hpp>

#include "common/base/json.h"
#include "common/protocol/connection_messages.h"

namespace orchestrate {

// Coordinator to pilot.
struct StartWorker {
    static constexpr const char* kType = "start_worker";
    std::string name;
    int ranks = 1;
};
BOOST_DESCRIBE_STRUCT(StartWorker, (), (name, ranks))

struct StopWorker {
    static constexpr const char* kType = "stop_worker";
    std::string name;
    std::int64_t grace_milliseconds = 0;
};
BOOST_DESCRIBE_STRUCT(StopWorker, (), (name, grace_milliseconds))

// Pilot to coordinator.
struct WorkerExited {
    static constexpr const char* kType = "worker_exited";
    std::string name;
    int exit_code = 0;
    int signal = 0;
    std::string error;  // set if it could not be started at all
    std::string step_state =
        {};  // Slurm's word if Slurm ended its step, unasked: "CANCELLED", "TIMEOUT"; else empty
};
BOOST_DESCRIBE_STRUCT(WorkerExited, (), (name, exit_code, signal, error, step_state))

using PilotToCoordinator = std::variant<Heartbeat, WorkerExited, Goodbye>;
using CoordinatorToPilot = std::variant<Heartbeat, StartWorker, StopWorker>;

}  // namespace orchestrate
