// What a command reports while it runs: lines of JSON. The contract is in README.md, "Your own script".
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.h"
#include "common/job/attempt.h"

namespace orchestrate {

// A metric that a line names with a value that cannot be taken.
struct RefusedMetric {
    MetricPart part = MetricPart::test;
    std::string name;
    std::string found;           // as it was written, e.g. "NaN" or "\"high\""
    bool is_not_finite = false;  // NaN or infinity; else of another type
};

// What one line says.
struct MetricLine {
    std::optional<TrainingProgress> progress;
    std::optional<EpochMetrics> epoch;   // metrics after an epoch
    std::vector<MetricValue> result;     // metrics at the end
    std::vector<RefusedMetric> refused;  // of those
    bool is_of_epoch = false;            // what was refused, too
};

// A line that is not understood: what was found, what was expected, the nearest name.
class MetricLineError : public UserError {
  public:
    // `may_hold_metrics`: whether the line may have been meant to report metrics.
    MetricLineError(const std::string& message, bool may_hold_metrics)
        : UserError(message), may_hold_metrics_(may_hold_metrics) {}
    bool may_hold_metrics() const { return may_hold_metrics_; }

  private:
    bool may_hold_metrics_;
};

// NaN, Infinity and -Infinity (also "nan", "inf") are understood, though JSON has no such numbers: Python writes them.
// Throws MetricLineError.
MetricLine read_metric_line(std::string_view line);

inline constexpr std::size_t kMaxMetricLineBytes = 1U << 20;

// Cuts what comes from a pipe into lines. Not thread-safe.
class LineSplitter {
  public:
    explicit LineSplitter(std::size_t max_bytes = kMaxMetricLineBytes) : max_bytes_(max_bytes) {}

    // The lines that these bytes complete, without their ends ("\n" or "\r\n"). What a terminal would overwrite ("\r")
    // is left out. A line of more than `max_bytes` is cut there, and its rest dropped.
    std::vector<std::string> add(std::string_view bytes);

    // What is left at the end without the end of a line; empty: nothing.
    std::string rest();

  private:
    std::size_t max_bytes_;
    std::string line_;
};

}  // namespace orchestrate
