// Must not compile: a worker cannot send a lease. With ORCHESTRATE_ALL_HANDLERS it compiles.
#include "common/protocol/channel.h"

namespace orchestrate {

void send_lease(const WorkerChannel& worker, const ChannelToWorker& coordinator) {
#ifdef ORCHESTRATE_ALL_HANDLERS
    coordinator.send(Lease{});
    worker.send(Goodbye{});
#else
    coordinator.send(Goodbye{});
    worker.send(Lease{});
#endif
}

}  // namespace orchestrate
