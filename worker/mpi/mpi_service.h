// Keeps MPI going while the ranks compute: MPI sums only while it is called, so a thread calls it for as long as
// sums are under way, and a few times a second for signs of life. MPI was promised one call at a time
// (MPI_THREAD_SERIALIZED): every call, on whatever thread, is made under one mutex.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <mpi.h>

#include "worker/mpi/mpi_error.h"
#include "worker/mpi/mpi_peers.h"

namespace orchestrate {

// A request to MPI, until it is complete; guarded by the service's mutex.
struct MpiOperation {
    MPI_Request request = MPI_REQUEST_NULL;
    bool abandoned = false;  // its deadline is over; MPI still writes to its buffer whenever it is called
    std::optional<std::chrono::steady_clock::time_point> completed_at;
};

class MpiService {
  public:
    MpiService(MPI_Comm world, const CollectiveOptions& options);
    ~MpiService();
    MpiService(const MpiService&) = delete;
    MpiService& operator=(const MpiService&) = delete;

    // Starts an operation by `start(MPI_Request*)`, which returns MPI's code, called under the mutex. `in_background`:
    // it makes progress without being waited for.
    template <class Start>
    std::shared_ptr<MpiOperation> begin(const char* name, bool in_background, const Start& start) {
        auto operation = std::make_shared<MpiOperation>();
        const std::lock_guard lock(mutex_);
        check_usable();
        check_mpi(start(&operation->request), name);
        if (in_background) {
            following_.push_back(operation);
            changed_.notify_one();
        }
        return operation;
    }

    bool test(MpiOperation& operation);

    // Polls, with sleeps that grow while nothing happens. PeerLost as soon as a rank is lost, CollectiveError after the
    // deadline; `what` names the operation for users.
    void wait(MpiOperation& operation, std::optional<std::chrono::milliseconds> deadline, const char* what);

    std::optional<std::chrono::steady_clock::time_point> completed_at(const MpiOperation& operation) const;

    std::string lost_peer() const;

    // Ends the thread and parts from the other ranks; false if MPI cannot be finalised, since a rank or an operation
    // was lost.
    bool end();

  private:
    void run();
    bool test_locked(MpiOperation& operation);
    void check_usable() const;
    [[noreturn]] void fail() const;
    void set_lost(const std::string& who, bool silent);

    mutable std::mutex mutex_;  // of every call into MPI
    std::condition_variable changed_;
    MpiPeers peers_;
    std::vector<std::shared_ptr<MpiOperation>> following_;
    int abandoned_ = 0;
    bool ending_ = false;
    mutable std::mutex
        lost_mutex_;  // its own: lost_peer() must answer even if a call into MPI does not return
    std::string lost_;
    bool lost_by_silence_ = false;
    std::thread thread_;
};

}  // namespace orchestrate
