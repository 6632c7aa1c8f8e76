#include "worker/training/loop/gradient_buckets.h"

#include <algorithm>
#include <functional>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

namespace orchestrate {

namespace {

// Runs after a leaf's gradient has been accumulated.
class AfterAccumulation final : public torch::autograd::FunctionPostHook {
  public:
    explicit AfterAccumulation(std::function<void()> action) : action_(std::move(action)) {}
    torch::autograd::variable_list operator()(const torch::autograd::variable_list& outputs,
                                              const torch::autograd::variable_list&) override {
        action_();
        return outputs;
    }

  private:
    std::function<void()> action_;
};

}  // namespace

GradientBuckets::GradientBuckets(Parameters& parameters, Reducer& reducer, std::int64_t bucket_floats)
    : reducer_(reducer) {
    // Weights with decay lie in the order of the forward pass: cut from their end. The rest is one last
    // slice.
    std::vector<const Leaf*> leaves;
    for (const Leaf& leaf : parameters.leaves()) {
        if (leaf.offset < parameters.decayed_elements()) {
            leaves.push_back(&leaf);
        }
    }
    std::sort(leaves.begin(), leaves.end(),
              [](const Leaf* a, const Leaf* b) { return a->offset > b->offset; });
    const at::Tensor& all = parameters.gradients_and_statistics();
    std::int64_t end = parameters.decayed_elements();
    std::size_t count = 0;
    for (const Leaf* const leaf : leaves) {
        const std::size_t bucket = buckets_.size();
        const auto accumulator = torch::autograd::impl::grad_accumulator(leaf->value);
        const auto hook = accumulator->add_post_hook(
            std::make_unique<AfterAccumulation>([this, bucket] { leaf_is_ready(bucket); }));
        hooks_.emplace_back(accumulator, hook);
        ++count;
        if (end - leaf->offset >= bucket_floats || leaf == leaves.back()) {
            buckets_.push_back({all.narrow(0, leaf->offset, end - leaf->offset), count, 0});
            end = leaf->offset;
            count = 0;
        }
    }
    buckets_.push_back(
        {all.narrow(0, parameters.decayed_elements(), all.numel() - parameters.decayed_elements()), 1, 0});
}

GradientBuckets::~GradientBuckets() {
    for (const auto& [accumulator, hook] : hooks_) {
        accumulator->del_post_hook(hook);
    }
}

void GradientBuckets::arm() {
    for (Bucket& bucket : buckets_) {
        bucket.missing = bucket.leaves;
    }
    next_ = 0;
    armed_ = true;
}

void GradientBuckets::leaf_is_ready(std::size_t bucket) {
    if (armed_) {
        --buckets_[bucket].missing;
        add_ready_buckets();
    }
}

void GradientBuckets::add_ready_buckets() {
    while (next_ < buckets_.size() && buckets_[next_].missing == 0) {
        reducer_.add(buckets_[next_].values);
        ++next_;
    }
}

std::vector<SumTimes> GradientBuckets::finish() {
    if (!armed_) {
        next_ = 0;
    }
    for (Bucket& bucket : buckets_) {
        bucket.missing = 0;
    }
    add_ready_buckets();
    armed_ = false;
    return reducer_.finalize();
}

}  // namespace orchestrate
