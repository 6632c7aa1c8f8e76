// Gives slices of the flat gradients to a Reducer as soon as the backward pass has finished them, so that
// sums run while it goes on.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "worker/training/model/parameters.h"
#include "worker/training/runtime/reducer.h"

namespace torch::autograd {
struct Node;
}

namespace orchestrate {

class GradientBuckets {
  public:
    // `parameters` and `reducer` must outlive the buckets. `bucket_floats`: smallest size of a slice.
    GradientBuckets(Parameters& parameters, Reducer& reducer, std::int64_t bucket_floats);
    ~GradientBuckets();
    GradientBuckets(const GradientBuckets&) = delete;
    GradientBuckets& operator=(const GradientBuckets&) = delete;

    // Before the backward pass that completes the gradients of a step.
    void arm();

    // After it (or without it, on a rank without examples or where it failed): adds what is left, among it everything behind
    // the last weight (biases, norms, statistics of the step), and waits for all sums.
    std::vector<SumTimes> finish();

  private:
    struct Bucket {
        at::Tensor values;
        std::size_t leaves = 0;
        std::size_t missing = 0;
    };
    void leaf_is_ready(std::size_t bucket);
    void add_ready_buckets();

    Reducer& reducer_;
    std::vector<Bucket> buckets_;  // in the order of the backward pass
    std::size_t next_ = 0;
    bool armed_ = false;
    std::vector<std::pair<std::shared_ptr<torch::autograd::Node>, std::uintptr_t>> hooks_;
};

}  // namespace orchestrate
