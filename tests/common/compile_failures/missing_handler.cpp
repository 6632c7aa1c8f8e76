// Must not compile: a message of a worker (WorkerNote) has no handler. With ORCHESTRATE_ALL_HANDLERS it compiles, which shows
// that nothing else is wrong here.
#include "common/base/visit.h"
#include "common/protocol/messages.h"

namespace orchestrate {

bool is_about_an_attempt(const WorkerToCoordinator& message) {
    return match(
        message, [](const Heartbeat&) { return false; }, [](const AttemptProgress&) { return true; },
        [](const AttemptEpoch&) { return true; }, [](const AttemptResumed&) { return true; },
        [](const CheckpointWritten&) { return true; }, [](const AttemptEnded&) { return true; },
        [](const Goodbye&) { return false; },
#ifdef ORCHESTRATE_ALL_HANDLERS
        [](const WorkerNote&) { return false; },
#endif
        [](const UploadOffer&) { return true; }, [](const UploadChunk&) { return true; },
        [](const CheckpointRequest&) { return true; });
}

}  // namespace orchestrate
