#include "worker/mpi/mpi_service.h"

#include <algorithm>

namespace orchestrate {

namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// While sums run: short against a sum, long against the microsecond that a look costs.
constexpr microseconds kProgressInterval{100};
constexpr microseconds kBusyPhase{
    200};  // a sum among running ranks takes this long: no sleep is short enough
constexpr microseconds kFirstSleep{20};
constexpr microseconds kLongestSleep{10000};  // an MPI test takes some microseconds: far below 1 % of a core
constexpr milliseconds kPartingLimit{5000};

}  // namespace

MpiService::MpiService(MPI_Comm world, const CollectiveOptions& options)
    : peers_(world, options), thread_([this] { run(); }) {}

MpiService::~MpiService() {
    if (thread_.joinable()) {
        end();
    }
}

void MpiService::run() {
    std::unique_lock lock(mutex_);
    try {
        while (!ending_) {
            if (abandoned_ > 0) {  // the buffers may be gone: MPI is not called any more
                changed_.wait(lock);
                continue;
            }
            const auto now = steady_clock::now();
            if (now >= peers_.next_beat()) {
                const std::string lost = peers_.beat(now);
                if (!lost.empty()) {
                    set_lost(lost, true);
                    return;
                }
            }
            std::erase_if(following_, [this](const auto& operation) { return test_locked(*operation); });
            if (following_.empty()) {
                changed_.wait_until(lock, peers_.next_beat());
            } else {
                lock.unlock();
                std::this_thread::sleep_for(kProgressInterval);
                lock.lock();
            }
        }
    } catch (const CollectiveError& error) {
        set_lost(error.what(), false);
    }
}

bool MpiService::test_locked(MpiOperation& operation) {
    if (operation.completed_at) {
        return true;
    }
    if (!lost_peer().empty()) {
        fail();
    }
    int done = 0;
    check_mpi(MPI_Test(&operation.request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    if (done == 0) {
        return false;
    }
    operation.completed_at = steady_clock::now();
    if (operation.abandoned) {
        --abandoned_;
        changed_.notify_one();
    }
    return true;
}

bool MpiService::test(MpiOperation& operation) {
    const std::lock_guard lock(mutex_);
    return test_locked(operation);
}

void MpiService::wait(MpiOperation& operation, std::optional<milliseconds> deadline, const char* what) {
    const auto start = steady_clock::now();
    auto sleep = kFirstSleep;
    while (!test(operation)) {
        const auto waited = steady_clock::now() - start;
        if (deadline && waited >= *deadline) {
            const std::lock_guard lock(mutex_);
            if (!operation.abandoned) {
                operation.abandoned = true;
                ++abandoned_;
            }
            throw CollectiveError("a rank did not take part in " + std::string(what) + " within " +
                                  std::to_string(deadline->count()) + " ms");
        }
        if (waited < kBusyPhase) {
            std::this_thread::yield();
        } else {
            std::this_thread::sleep_for(sleep);
            sleep = std::min(sleep * 3 / 2, kLongestSleep);
        }
    }
}

std::optional<steady_clock::time_point> MpiService::completed_at(const MpiOperation& operation) const {
    const std::lock_guard lock(mutex_);
    return operation.completed_at;
}

// MPI writes to the buffers of all that is under way whenever it is called, also of what nobody waits for any more.
void MpiService::check_usable() const {
    if (!lost_peer().empty()) {
        fail();
    }
    if (abandoned_ > 0) {
        throw CollectiveError("a rank did not take part in an earlier operation");
    }
}

// MPI reports an error where a connection broke, as a process does that crashed; a host that is gone is silent.
void MpiService::fail() const {
    const std::lock_guard lock(lost_mutex_);
    if (lost_by_silence_) {
        throw PeerLost(lost_);
    }
    throw CollectiveError(lost_);
}

void MpiService::set_lost(const std::string& who, bool silent) {
    const std::lock_guard lock(lost_mutex_);
    lost_ = who;
    lost_by_silence_ = silent;
}

std::string MpiService::lost_peer() const {
    const std::lock_guard lock(lost_mutex_);
    return lost_;
}

bool MpiService::end() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    changed_.notify_one();
    thread_.join();
    try {
        if (abandoned_ > 0 || !lost_peer().empty() || !peers_.part(kPartingLimit)) {
            return false;
        }
    } catch (const CollectiveError&) {
        return false;
    }
    peers_.free();
    return true;
}

}  // namespace orchestrate
