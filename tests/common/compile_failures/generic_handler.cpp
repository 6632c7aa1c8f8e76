// Must not compile: a generic lambda would take every message that nobody thought of. With ORCHESTRATE_ALL_HANDLERS it
// compiles.
#include "common/base/visit.h"
#include "common/protocol/messages.h"

namespace orchestrate {

bool is_a_start(const CoordinatorToPilot& message) {
    return match(
        message, [](const StartWorker&) { return true; },
#ifdef ORCHESTRATE_ALL_HANDLERS
        [](const StopWorker&) { return false; }, [](const Heartbeat&) { return false; }
#else
        [](const auto&) { return false; }
#endif
    );
}

}  // namespace orchestrate
