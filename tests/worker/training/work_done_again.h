// A recording as tests on the CPU have it: the work itself, done again on the same buffers. What it would read of the host
// would be that of its first batch.
#pragma once

#include <memory>
#include <utility>

#include "worker/training/runtime/device.h"

namespace orchestrate::test {

struct RecordedCounts {
    std::int64_t recorded = 0;
    std::int64_t replayed = 0;
};

class WorkDoneAgain final : public CapturedGraph {
  public:
    explicit WorkDoneAgain(RecordedCounts& counts) : counts_(counts) {}
    void record(const std::function<void()>& work) override {
        work_ = work;
        ++counts_.recorded;
    }
    void replay() override {
        work_();
        ++counts_.replayed;
    }

  private:
    RecordedCounts& counts_;
    std::function<void()> work_;
};

// `counts` must outlive what is made of it.
inline void record_by_doing_again(TrainingDevice& device, RecordedCounts& counts) {
    device.make_captured_graph = [&counts] { return std::make_unique<WorkDoneAgain>(counts); };
}

}  // namespace orchestrate::test
