// Signs of life between the ranks of a worker: MPI itself does not say that a process was stopped or a host cut
// off, it only waits. Rank 0 exchanges a small message with every other rank each interval; who hears nothing from
// its partner for several of them takes it for lost.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <mpi.h>

#include "worker/collective.h"

namespace orchestrate {

// Not thread-safe, like MPI itself; nothing here waits, but the constructor, in which all ranks take part.
class MpiPeers {
  public:
    using Time = std::chrono::steady_clock::time_point;

    MpiPeers(MPI_Comm world, const CollectiveOptions& options);
    MpiPeers(const MpiPeers&) = delete;
    MpiPeers& operator=(const MpiPeers&) = delete;

    // When beat() should be called next.
    Time next_beat() const { return next_beat_; }

    // Sends and receives what is due. Returns which partner is lost; empty if none is. CollectiveError if MPI fails.
    std::string beat(Time now);

    // Tells all partners that this rank leaves, and waits until they have said so too: no message is under way any
    // more then. False after `limit`.
    bool part(std::chrono::milliseconds limit);

    // After part().
    void free();

  private:
    enum Note : int { kAlive, kGoodbye };
    struct Partner {
        int rank = 0;
        std::string name;  // "rank 1 (process 4711 on n1)"
        Time last_heard;
        int sent = kAlive;
        int received = kAlive;
        MPI_Request send = MPI_REQUEST_NULL;
        MPI_Request receive = MPI_REQUEST_NULL;
        bool gone = false;  // said goodbye
    };
    void listen(Partner& partner);
    void receive_all(Time now);
    bool send(Partner& partner, Note note);

    CollectiveOptions options_;
    MPI_Comm communicator_ = MPI_COMM_NULL;
    std::vector<Partner> partners_;
    Time next_beat_;
    Time next_send_;
    Time last_beat_;
};

}  // namespace orchestrate
