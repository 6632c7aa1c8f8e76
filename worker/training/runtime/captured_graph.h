// Work that is recorded once and then repeated by one call, as CUDA graphs do: launching a step's hundreds of small kernels
// one by one can take longer than they run.
#pragma once

#include <functional>
#include <memory>
#include <string>

namespace orchestrate {

// What a device offers. Owned by whoever asked for it; one thread uses it.
class CapturedGraph {
  public:
    virtual ~CapturedGraph() = default;

    // Records what `work` gives the device to do, and does none of it. What it throws passes through, and nothing is recorded.
    // `work` may be kept.
    virtual void record(const std::function<void()>& work) = 0;

    // Does it again, on the same memory.
    virtual void replay() = 0;
};

// What all recordings of one training share. When one fails, there are no more: what they would do is done step by step.
class CapturedGraphs {
  public:
    using Make = std::function<std::unique_ptr<CapturedGraph>()>;

    // `make` empty: nothing is recorded. `log` is told why recording ended.
    CapturedGraphs(Make make, std::function<void(const std::string&)> log)
        : make_(std::move(make)), log_(std::move(log)) {}

    bool are_made() const { return static_cast<bool>(make_); }

    // A recording of `work`; null, and the reason in the log, if that failed.
    std::unique_ptr<CapturedGraph> record(const std::function<void()>& work);

    void end(const std::string& why);
    void log(const std::string& line) const { log_(line); }

  private:
    Make make_;
    std::function<void(const std::string&)> log_;
};

// The same work again and again: done once (what it needs is then allocated), then recorded, then replayed.
class RepeatedWork {
  public:
    void run(CapturedGraphs& recordings, const std::function<void()>& work);
    void forget() { recorded_.reset(); }

  private:
    bool was_done_ = false;
    std::unique_ptr<CapturedGraph> recorded_;
};

}  // namespace orchestrate
