#include "worker/training/loop/tensor_passes.h"

#include <optional>
#include <utility>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

namespace orchestrate {

namespace {

// Each recording holds a few MiB besides the memory that all of them share.
constexpr std::size_t kMaxRecorded = 48;

}  // namespace

void TensorPasses::run(PackedBatch batch, const StepNumbers& step,
                       const std::function<void()>& before_backward, StepTrace* trace) {
    if (!recordings_.are_made()) {
        const at::Tensor numbers = to_device(batch, step);
        return pass(std::make_shared<BatchLayout>(views_of(numbers, BatchShape::of(batch))), before_backward,
                    trace);
    }
    const BatchShape shape = padded_shape(BatchShape::of(batch));
    pad_to(shape, batch);
    const at::Tensor numbers = to_device(batch, step);
    if (Recorded* const found = recorded(shape, numbers)) {
        const TraceSpan span(trace, "recorded pass");
        found->work->replay();
    } else {
        pass(std::make_shared<BatchLayout>(views_of(numbers, shape)), before_backward, trace);
    }
}

TensorPasses::Recorded* TensorPasses::recorded(const BatchShape& shape, const at::Tensor& numbers) {
    const auto found = recorded_.find(shape);
    if (found != recorded_.end()) {
        found->second.buffer.copy_(numbers);
        return &found->second;
    }
    // Done once as it is: then all that libraries set up for this shape is there.
    if (uses_[shape]++ == 0) {
        return nullptr;
    }
    if (recorded_.size() == kMaxRecorded) {
        if (!std::exchange(told_of_many_, true)) {
            recordings_.log(std::to_string(kMaxRecorded) +
                            " shapes of batches are recorded; others are done step by step");
        }
        return nullptr;
    }
    Recorded next;
    next.buffer = numbers.clone();
    const auto layout = std::make_shared<BatchLayout>(views_of(next.buffer, shape));
    next.work = recordings_.record([this, layout] { pass(layout, nullptr, nullptr); });
    if (next.work == nullptr) {
        recorded_.clear();
        return nullptr;
    }
    return &recorded_.emplace(shape, std::move(next)).first->second;
}

void TensorPasses::pass(const BatchLayoutPtr& layout, const std::function<void()>& before_backward,
                        StepTrace* trace) const {
    std::optional<TraceSpan> span(std::in_place, trace, "forward");
    const BatchTensors& batch = layout->tensors(model_.operations().device());
    const at::Tensor loss = loss_.sum(model_.logits(layout, DropoutState{}), batch.label);
    loss_sum_.add_(loss.detach());
    if (before_backward) {
        before_backward();
    }
    span.emplace(trace, StepTrace::kBackward);
    torch::autograd::backward({loss}, {batch.inverse_weight});
}

at::Tensor TensorPasses::to_device(const PackedBatch& batch, const StepNumbers& step) const {
    const at::Device device = model_.operations().device();
    const std::int64_t count = BatchShape::of(batch).numbers();
    // Pinned memory is copied while the host goes on, and not given to others before that.
    const at::Tensor host = at::empty({count}, at::TensorOptions(at::kInt).pinned_memory(!device.is_cpu()));
    write_numbers(batch, step, {host.mutable_data_ptr<std::int32_t>(), static_cast<std::size_t>(count)});
    return device.is_cpu() ? host : host.to(device, /*non_blocking=*/true);
}

}  // namespace orchestrate
