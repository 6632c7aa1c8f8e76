#include "worker/training/operations/rounded_weights.h"

#include <ATen/ATen.h>

namespace orchestrate {

at::Tensor Bf16Weights::of(const at::Tensor& weight) {
    if (!weight.is_alias_of(values_) || !weight.is_contiguous()) {
        return {};
    }
    refresh_if_stale();
    return rounded_.narrow(0, weight.storage_offset() - values_.storage_offset(), weight.numel())
        .view(weight.sizes());
}

void Bf16Weights::refresh() {
    const at::NoGradGuard no_gradients;
    if (!rounded_.defined()) {
        rounded_ = at::empty_like(values_, values_.options().dtype(at::kBFloat16));
    }
    rounded_.copy_(values_);
    seen_version_ = static_cast<std::int64_t>(values_._version());
}

void Bf16Weights::refresh_if_stale() {
    if (seen_version_ != static_cast<std::int64_t>(values_._version())) {
        refresh();
    }
}

}  // namespace orchestrate
