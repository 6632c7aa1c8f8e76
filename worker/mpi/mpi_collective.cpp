// The Collective over MPI, free of torch. Nothing here waits inside MPI: every operation is started, then
// polled with sleeps that grow while nothing happens, so that an idle rank leaves its core to others and a
// lost peer is noticed.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <mpi.h>

#include "worker/collective.h"
#include "worker/mpi/mpi_error.h"
#include "worker/mpi/mpi_service.h"

namespace orchestrate {

namespace {

using std::chrono::milliseconds;

class MpiPending final : public PendingCollective {
  public:
    MpiPending(std::shared_ptr<MpiService> service, std::shared_ptr<MpiOperation> operation)
        : service_(std::move(service)), operation_(std::move(operation)) {}

    bool test() override { return service_->test(*operation_); }
    void wait(milliseconds deadline) override { service_->wait(*operation_, deadline, "a sum"); }
    std::optional<std::chrono::steady_clock::time_point> completed_at() const override {
        return service_->completed_at(*operation_);
    }

  private:
    std::shared_ptr<MpiService> service_;
    std::shared_ptr<MpiOperation> operation_;
};

class MpiCollective final : public Collective {
  public:
    explicit MpiCollective(const CollectiveOptions& options) {
        int initialized = 0;
        check_mpi(MPI_Initialized(&initialized), "MPI_Initialized");
        if (initialized == 0) {
            int provided = MPI_THREAD_SINGLE;
            check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided), "MPI_Init_thread");
            if (provided < MPI_THREAD_SERIALIZED) {
                throw CollectiveError(
                    "this MPI library allows calls from the first thread only "
                    "(MPI_THREAD_SERIALIZED is needed)");
            }
        }
        // A communicator of our own, whose errors come back as codes instead of ending the process.
        check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &communicator_), "MPI_Comm_dup");
        check_mpi(MPI_Comm_set_errhandler(communicator_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
        check_mpi(MPI_Comm_rank(communicator_, &rank_), "MPI_Comm_rank");
        check_mpi(MPI_Comm_size(communicator_, &size_), "MPI_Comm_size");
        service_ = std::make_shared<MpiService>(communicator_, options);
    }
    MpiCollective(const MpiCollective&) = delete;
    MpiCollective& operator=(const MpiCollective&) = delete;

    ~MpiCollective() override {
        int finalized = 0;
        MPI_Finalized(&finalized);
        if (finalized == 0 && service_ && service_->end()) {
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

    void broadcast(std::vector<std::byte>& bytes, std::optional<milliseconds> deadline) override {
        std::uint64_t size = bytes.size();
        run("MPI_Ibcast", deadline, "a broadcast", [&](MPI_Request* request) {
            return MPI_Ibcast(&size, 1, MPI_UINT64_T, 0, communicator_, request);
        });
        bytes.resize(size);
        // Its first part has come, so its sender is there: what is left may not take for ever.
        run("MPI_Ibcast", deadline.value_or(kRestOfBroadcast), "a broadcast", [&](MPI_Request* request) {
            return MPI_Ibcast(bytes.data(), checked_count(size), MPI_BYTE, 0, communicator_, request);
        });
    }

    std::vector<std::vector<std::byte>> gather(std::span<const std::byte> bytes,
                                               milliseconds deadline) override {
        const auto ranks = rank_ == 0 ? static_cast<std::size_t>(size_) : 0;
        const int count = checked_count(bytes.size());
        std::vector<int> counts(ranks);
        run("MPI_Igather", deadline, "a gather", [&](MPI_Request* request) {
            return MPI_Igather(&count, 1, MPI_INT, counts.data(), 1, MPI_INT, 0, communicator_, request);
        });
        std::vector<int> offsets(ranks);
        std::size_t total = 0;
        for (std::size_t i = 0; i < ranks; ++i) {
            offsets[i] = checked_count(total);
            total += static_cast<std::size_t>(counts[i]);
        }
        std::vector<std::byte> all(total);
        run("MPI_Igatherv", deadline, "a gather", [&](MPI_Request* request) {
            return MPI_Igatherv(bytes.data(), count, MPI_BYTE, all.data(), counts.data(), offsets.data(),
                                MPI_BYTE, 0, communicator_, request);
        });
        std::vector<std::vector<std::byte>> parts(ranks);
        for (std::size_t i = 0; i < ranks; ++i) {
            const auto begin = all.begin() + offsets[i];
            parts[i].assign(begin, begin + counts[i]);
        }
        return parts;
    }

    std::string lost_peer() const override { return service_->lost_peer(); }

  private:
    static constexpr milliseconds kRestOfBroadcast{60000};

    std::unique_ptr<PendingCollective> all_reduce(void* values, std::size_t count, MPI_Datatype type) {
        return std::make_unique<MpiPending>(
            service_, service_->begin("MPI_Iallreduce", true, [&](MPI_Request* request) {
                return MPI_Iallreduce(MPI_IN_PLACE, values, checked_count(count), type, MPI_SUM,
                                      communicator_, request);
            }));
    }

    template <class Start>
    void run(const char* name, std::optional<milliseconds> deadline, const char* what, const Start& start) {
        service_->wait(*service_->begin(name, false, start), deadline, what);
    }

    MPI_Comm communicator_ = MPI_COMM_NULL;
    int rank_ = 0;
    int size_ = 1;
    std::shared_ptr<MpiService> service_;
};

}  // namespace

}  // namespace orchestrate

extern "C" orchestrate::Collective* orchestrate_open_mpi_collective(
    const orchestrate::CollectiveOptions& options) {
    return new orchestrate::MpiCollective(options);
}
