#include "worker/mpi/mpi_peers.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <thread>

#include <unistd.h>

#include "worker/mpi/mpi_error.h"

namespace orchestrate {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Looked at more often than sent, so that the age of a sign of life is known well.
constexpr int kLooksPerInterval = 4;

using Place = std::array<char, 128>;

Place this_place() {
    Place place{};
    std::array<char, 64> host{};
    ::gethostname(host.data(), host.size() - 1);
    std::snprintf(place.data(), place.size(), "process %d on %s", static_cast<int>(::getpid()), host.data());
    return place;
}

std::string seconds_text(milliseconds duration) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.3g s", std::chrono::duration<double>(duration).count());
    return text.data();
}

}  // namespace

MpiPeers::MpiPeers(MPI_Comm world, const CollectiveOptions& options) : options_(options) {
    check_mpi(MPI_Comm_dup(world, &communicator_), "MPI_Comm_dup");
    check_mpi(MPI_Comm_set_errhandler(communicator_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    int rank = 0;
    int size = 1;
    check_mpi(MPI_Comm_rank(communicator_, &rank), "MPI_Comm_rank");
    check_mpi(MPI_Comm_size(communicator_, &size), "MPI_Comm_size");
    const Place mine = this_place();
    std::vector<Place> places(static_cast<std::size_t>(size));
    check_mpi(MPI_Allgather(mine.data(), static_cast<int>(mine.size()), MPI_CHAR, places.data(),
                            static_cast<int>(mine.size()), MPI_CHAR, communicator_),
              "MPI_Allgather");
    last_beat_ = next_beat_ = next_send_ = steady_clock::now();
    for (int other = 0; other < size; ++other) {
        if (other != rank && (rank == 0 || other == 0)) {
            Partner partner;
            partner.rank = other;
            partner.name =
                "rank " + std::to_string(other) + " (" + places[static_cast<std::size_t>(other)].data() + ")";
            partner.last_heard = last_beat_;
            partners_.push_back(std::move(partner));
        }
    }
    for (Partner& partner : partners_) {  // they stay where they are from now on: MPI knows their addresses
        listen(partner);
    }
}

void MpiPeers::listen(Partner& partner) {
    check_mpi(MPI_Irecv(&partner.received, 1, MPI_INT, partner.rank, 0, communicator_, &partner.receive),
              "MPI_Irecv");
}

void MpiPeers::receive_all(Time now) {
    for (Partner& partner : partners_) {
        while (!partner.gone) {
            int done = 0;
            check_mpi(MPI_Test(&partner.receive, &done, MPI_STATUS_IGNORE), "MPI_Test");
            if (done == 0) {
                break;
            }
            partner.last_heard = now;
            partner.gone = partner.received == kGoodbye;
            if (!partner.gone) {
                listen(partner);
            }
        }
    }
}

// False while the message before is still under way.
bool MpiPeers::send(Partner& partner, Note note) {
    int done = 0;
    check_mpi(MPI_Test(&partner.send, &done, MPI_STATUS_IGNORE), "MPI_Test");
    if (done == 0) {
        return false;
    }
    partner.sent = note;
    check_mpi(MPI_Isend(&partner.sent, 1, MPI_INT, partner.rank, 0, communicator_, &partner.send),
              "MPI_Isend");
    return true;
}

std::string MpiPeers::beat(Time now) {
    const auto interval = options_.heartbeat_interval;
    // This process itself was stopped for a while: what the others sent meanwhile has yet to be read.
    if (now - last_beat_ > interval) {
        for (Partner& partner : partners_) {
            partner.last_heard += now - last_beat_;
        }
    }
    last_beat_ = now;
    next_beat_ = now + interval / kLooksPerInterval;
    receive_all(now);
    if (now >= next_send_) {
        next_send_ = now + interval;
        for (Partner& partner : partners_) {
            if (!partner.gone) {
                send(partner, kAlive);
            }
        }
    }
    const milliseconds limit = interval * options_.missed_heartbeats;
    for (const Partner& partner : partners_) {
        if (!partner.gone && now - partner.last_heard > limit) {
            return partner.name + " was silent for " + seconds_text(limit);
        }
    }
    return {};
}

bool MpiPeers::part(milliseconds limit) {
    std::vector<bool> told(partners_.size(), false);
    const auto deadline = steady_clock::now() + limit;
    while (true) {
        bool all = true;
        for (std::size_t i = 0; i < partners_.size(); ++i) {
            if (!told[i]) {
                told[i] = send(partners_[i], kGoodbye);
            }
            int done = 0;
            check_mpi(MPI_Test(&partners_[i].send, &done, MPI_STATUS_IGNORE), "MPI_Test");
            all = all && told[i] && done != 0;
        }
        receive_all(steady_clock::now());
        all = all && std::all_of(partners_.begin(), partners_.end(),
                                 [](const Partner& partner) { return partner.gone; });
        if (all) {
            return true;
        }
        if (steady_clock::now() > deadline) {
            return false;
        }
        std::this_thread::sleep_for(milliseconds(1));
    }
}

void MpiPeers::free() {
    MPI_Comm_free(&communicator_);
}

}  // namespace orchestrate
