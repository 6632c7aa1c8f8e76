// The Collective over MPI, free of torch. Nothing here waits inside MPI: every operation is started, then
// polled with sleeps that grow while nothing happens, so that an idle rank leaves its core to others and a
// lost peer is noticed.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <mpi.h>

#include "worker/collective.h"

namespace orchestrate {

namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr microseconds kBusyPhase{
    200};  // a sum among running ranks takes this long: no sleep is short enough
constexpr microseconds kFirstSleep{20};
constexpr microseconds kLongestSleep{10000};  // an MPI test takes some microseconds: far below 1 % of a core

void check(int code, const char* operation) {
    if (code != MPI_SUCCESS) {
        std::string text(MPI_MAX_ERROR_STRING, '\0');
        int length = 0;
        MPI_Error_string(code, text.data(), &length);
        text.resize(static_cast<std::size_t>(length));
        throw CollectiveError(std::string(operation) + " failed: " + text);
    }
}

int checked_count(std::size_t count) {
    if (count > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
        throw CollectiveError("a collective of more than 2^31 - 1 elements was asked for");
    }
    return static_cast<int>(count);
}

// Polls `done` until it is true; false after the deadline.
template <class Done>
bool poll(const Done& done, std::optional<milliseconds> deadline) {
    const auto start = steady_clock::now();
    auto sleep = kFirstSleep;
    while (!done()) {
        const auto waited = steady_clock::now() - start;
        if (deadline && waited >= *deadline) {
            return false;
        }
        if (waited < kBusyPhase) {
            std::this_thread::yield();
        } else {
            std::this_thread::sleep_for(sleep);
            sleep = std::min(sleep * 3 / 2, kLongestSleep);
        }
    }
    return true;
}

class MpiPending final : public PendingCollective {
  public:
    // `broken` is set when a peer is lost: MPI cannot be finalised then. An abandoned request cannot be taken
    // back either (MPI forbids it for collectives).
    MpiPending(MPI_Request request, std::shared_ptr<bool> broken)
        : request_(request), broken_(std::move(broken)) {}

    bool test() override {
        int done = 0;
        check(MPI_Test(&request_, &done, MPI_STATUS_IGNORE), "MPI_Test");
        return done != 0;
    }

    void wait(milliseconds deadline) override {
        if (!poll([this] { return test(); }, deadline)) {
            *broken_ = true;
            throw CollectiveError("a rank did not take part in a sum within " +
                                  std::to_string(deadline.count()) + " ms");
        }
    }

  private:
    MPI_Request request_;
    std::shared_ptr<bool> broken_;
};

class MpiCollective final : public Collective {
  public:
    MpiCollective() {
        int initialized = 0;
        check(MPI_Initialized(&initialized), "MPI_Initialized");
        if (initialized == 0) {
            int provided = MPI_THREAD_SINGLE;
            check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided), "MPI_Init_thread");
            if (provided < MPI_THREAD_SERIALIZED) {
                throw CollectiveError(
                    "this MPI library allows calls from the first thread only "
                    "(MPI_THREAD_SERIALIZED is needed)");
            }
        }
        // A communicator of our own, whose errors come back as codes instead of ending the process.
        check(MPI_Comm_dup(MPI_COMM_WORLD, &communicator_), "MPI_Comm_dup");
        check(MPI_Comm_set_errhandler(communicator_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
        check(MPI_Comm_rank(communicator_, &rank_), "MPI_Comm_rank");
        check(MPI_Comm_size(communicator_, &size_), "MPI_Comm_size");
    }
    MpiCollective(const MpiCollective&) = delete;
    MpiCollective& operator=(const MpiCollective&) = delete;

    ~MpiCollective() override {
        int finalized = 0;
        MPI_Finalized(&finalized);
        if (finalized == 0 && !*broken_) {
            MPI_Comm_free(&communicator_);
            MPI_Finalize();
        }
    }

    int rank() const override { return rank_; }
    int size() const override { return size_; }

    std::unique_ptr<PendingCollective> all_reduce_sum(std::span<float> values) override {
        return all_reduce(values.data(), values.size(), MPI_FLOAT);
    }
    std::unique_ptr<PendingCollective> all_reduce_sum(std::span<double> values) override {
        return all_reduce(values.data(), values.size(), MPI_DOUBLE);
    }

    void broadcast(std::vector<std::byte>& bytes) override {
        std::uint64_t size = bytes.size();
        MPI_Request request = MPI_REQUEST_NULL;
        check(MPI_Ibcast(&size, 1, MPI_UINT64_T, 0, communicator_, &request), "MPI_Ibcast");
        finish(request, std::nullopt, "a broadcast");
        bytes.resize(size);
        check(MPI_Ibcast(bytes.data(), checked_count(size), MPI_BYTE, 0, communicator_, &request),
              "MPI_Ibcast");
        finish(request, std::nullopt, "a broadcast");
    }

    std::vector<std::vector<std::byte>> gather(std::span<const std::byte> bytes,
                                               milliseconds deadline) override {
        const auto ranks = rank_ == 0 ? static_cast<std::size_t>(size_) : 0;
        const int count = checked_count(bytes.size());
        std::vector<int> counts(ranks);
        MPI_Request request = MPI_REQUEST_NULL;
        check(MPI_Igather(&count, 1, MPI_INT, counts.data(), 1, MPI_INT, 0, communicator_, &request),
              "MPI_Igather");
        finish(request, deadline, "a gather");
        std::vector<int> offsets(ranks);
        std::size_t total = 0;
        for (std::size_t i = 0; i < ranks; ++i) {
            offsets[i] = checked_count(total);
            total += static_cast<std::size_t>(counts[i]);
        }
        std::vector<std::byte> all(total);
        check(MPI_Igatherv(bytes.data(), count, MPI_BYTE, all.data(), counts.data(), offsets.data(), MPI_BYTE,
                           0, communicator_, &request),
              "MPI_Igatherv");
        finish(request, deadline, "a gather");
        std::vector<std::vector<std::byte>> parts(ranks);
        for (std::size_t i = 0; i < ranks; ++i) {
            const auto begin = all.begin() + offsets[i];
            parts[i].assign(begin, begin + counts[i]);
        }
        return parts;
    }

  private:
    std::unique_ptr<PendingCollective> all_reduce(void* values, std::size_t count, MPI_Datatype type) {
        MPI_Request request = MPI_REQUEST_NULL;
        check(MPI_Iallreduce(MPI_IN_PLACE, values, checked_count(count), type, MPI_SUM, communicator_,
                             &request),
              "MPI_Iallreduce");
        return std::make_unique<MpiPending>(request, broken_);
    }

    void finish(MPI_Request& request, std::optional<milliseconds> deadline, const char* what) {
        const auto done = [&] {
            int flag = 0;
            check(MPI_Test(&request, &flag, MPI_STATUS_IGNORE), "MPI_Test");
            return flag != 0;
        };
        if (!poll(done, deadline)) {
            *broken_ = true;
            throw CollectiveError("a rank did not take part in " + std::string(what) + " within " +
                                  std::to_string(deadline->count()) + " ms");
        }
    }

    MPI_Comm communicator_ = MPI_COMM_NULL;
    int rank_ = 0;
    int size_ = 1;
    std::shared_ptr<bool> broken_ = std::make_shared<bool>(false);
};

}  // namespace

}  // namespace orchestrate

extern "C" orchestrate::Collective* orchestrate_open_mpi_collective() {
    return new orchestrate::MpiCollective();
}
