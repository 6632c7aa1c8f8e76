#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <torch/csrc/distributed/c10d/Work.hpp>

#include "worker/training/runtime/c10d_reducer.h"

namespace orchestrate {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kDefaultDeadline{300000};

class CollectiveWork final : public c10d::Work {
  public:
    CollectiveWork(int rank, at::Tensor values, std::unique_ptr<PendingCollective> pending)
        : Work(rank, c10d::OpType::ALLREDUCE), values_(std::move(values)), pending_(std::move(pending)) {}

    bool isCompleted() override { return pending_->test(); }
    bool isSuccess() const override { return true; }
    bool wait(milliseconds timeout) override {
        pending_->wait(timeout == kNoTimeout ? kDefaultDeadline : timeout);
        return true;
    }
    std::vector<at::Tensor> result() override { return {values_}; }
    std::optional<steady_clock::time_point> completed_at() const { return pending_->completed_at(); }

  private:
    at::Tensor values_;  // kept until the sum is done
    std::unique_ptr<PendingCollective> pending_;
};

class CollectiveBackend final : public c10d::Backend {
  public:
    explicit CollectiveBackend(Collective& collective)
        : Backend(collective.rank(), collective.size()), collective_(collective) {}

    const std::string getBackendName() const override { return "mpi-collective"; }

    c10::intrusive_ptr<c10d::Work> allreduce(std::vector<at::Tensor>& tensors,
                                             const c10d::AllreduceOptions& options) override {
        TORCH_CHECK(tensors.size() == 1 && tensors[0].is_cpu() && tensors[0].is_contiguous(),
                    "this backend sums one contiguous CPU tensor at a time");
        TORCH_CHECK(options.reduceOp == c10d::ReduceOp::SUM, "this backend only sums");
        at::Tensor& values = tensors[0];
        const auto count = static_cast<std::size_t>(values.numel());
        std::unique_ptr<PendingCollective> pending;
        if (values.scalar_type() == at::kDouble) {
            pending = collective_.all_reduce_sum(std::span(values.mutable_data_ptr<double>(), count));
        } else {
            pending = collective_.all_reduce_sum(std::span(values.mutable_data_ptr<float>(), count));
        }
        return c10::make_intrusive<CollectiveWork>(getRank(), values, std::move(pending));
    }

  private:
    Collective& collective_;
};

class C10dReducer final : public Reducer {
  public:
    C10dReducer(c10::intrusive_ptr<c10d::Backend> backend, milliseconds deadline)
        : backend_(std::move(backend)), deadline_(deadline) {}

    void add(const at::Tensor& values) override {
        std::vector<at::Tensor> tensors{values};
        c10d::AllreduceOptions options;
        options.reduceOp = c10d::ReduceOp::SUM;
        options.timeout = deadline_;
        const auto begin = steady_clock::now();
        pending_.push_back(
            {backend_->allreduce(tensors, options), static_cast<std::int64_t>(values.nbytes()), begin});
    }

    std::vector<SumTimes> finalize() override {
        std::vector<SumTimes> times;
        for (const auto& [work, bytes, begin] : pending_) {
            work->wait(deadline_);
            const auto* const summed = dynamic_cast<const CollectiveWork*>(work.get());
            const auto end = summed != nullptr ? summed->completed_at() : std::nullopt;
            times.push_back({bytes, begin, end.value_or(steady_clock::now())});
        }
        pending_.clear();
        return times;
    }

  private:
    c10::intrusive_ptr<c10d::Backend> backend_;
    milliseconds deadline_;
    struct Pending {
        c10::intrusive_ptr<c10d::Work> work;
        std::int64_t bytes = 0;
        steady_clock::time_point begin;
    };
    std::vector<Pending> pending_;
};

}  // namespace

std::unique_ptr<Reducer> make_c10d_reducer(c10::intrusive_ptr<c10d::Backend> backend, milliseconds deadline) {
    return std::make_unique<C10dReducer>(std::move(backend), deadline);
}

std::unique_ptr<Reducer> make_collective_reducer(Collective& collective, milliseconds deadline) {
    return make_c10d_reducer(c10::make_intrusive<CollectiveBackend>(collective), deadline);
}

}  // namespace orchestrate
