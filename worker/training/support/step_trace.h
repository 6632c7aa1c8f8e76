// Where the time of training steps goes on one rank, for users: spans of forward and backward passes, sums of
// gradients that run beside them, waits. Written as a Chrome trace (chrome://tracing, ui.perfetto.dev), a process of
// which is a rank. Free of torch.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

namespace orchestrate {

// How much of the time in which gradients are summed lies beside the backward pass, over all steps of a trace.
struct SumOverlap {
    double seconds = 0;         // in which at least one sum was under way
    double hidden_seconds = 0;  // of them, before the end of the step's last backward pass
    std::int64_t steps = 0;
    std::int64_t steps_with_early_sum = 0;  // in which a sum was complete before that end
};

// Thread-safe: sums are begun by whatever thread runs the backward pass.
class StepTrace {
  public:
    using Time = std::chrono::steady_clock::time_point;

    static constexpr const char* kBackward = "backward";

    // Keeps the first `steps` steps that it is told of.
    explicit StepTrace(int rank, std::int64_t steps = 200);

    void begin_step(std::int64_t step);

    // What this rank did. `name` must live as long as the trace.
    void add_span(const char* name, Time begin, Time end);

    // A sum over the ranks, from its start until it was found to be complete.
    void add_sum(std::int64_t bytes, Time begin, Time end);

    SumOverlap overlap() const;

    // Throws UserError if the file cannot be written.
    void write(const std::filesystem::path& file) const;

  private:
    struct Event {
        std::int64_t step = 0;
        const char* name = "";
        std::int64_t bytes = -1;  // of a sum; -1: a span
        Time begin;
        Time end;
    };
    bool is_recording() const { return steps_begun_ > 0 && steps_begun_ <= steps_; }

    mutable std::mutex mutex_;
    int rank_;
    std::int64_t steps_;
    std::int64_t steps_begun_ = 0;
    std::int64_t step_ = 0;
    std::vector<Event> events_;
};

// Records a span from its making to its end; nothing without a trace.
class TraceSpan {
  public:
    TraceSpan(StepTrace* trace, const char* name) : trace_(trace), name_(name) {
        if (trace_ != nullptr) {
            begin_ = std::chrono::steady_clock::now();
        }
    }
    ~TraceSpan() {
        if (trace_ != nullptr) {
            trace_->add_span(name_, begin_, std::chrono::steady_clock::now());
        }
    }
    TraceSpan(const TraceSpan&) = delete;
    TraceSpan& operator=(const TraceSpan&) = delete;

  private:
    StepTrace* trace_;
    const char* name_;
    StepTrace::Time begin_;
};

// FILE for rank 0, FILE with "-rank-N" before its extension for the others.
std::filesystem::path trace_file_of(const std::filesystem::path& file, int rank);

}  // namespace orchestrate
