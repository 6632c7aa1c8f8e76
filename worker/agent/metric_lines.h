// What a command reports while it runs: lines of JSON. The contract stands in README.md, "Your own script".
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/attempt.h"

namespace orchestrate {

// What one line says.
struct MetricLine {
    std::optional<TrainingProgress> progress;
    std::optional<EpochMetrics> epoch;  // metrics after an epoch
    std::vector<NamedMetric> result;    // metrics at the end
};

// Throws UserError for whatever the contract does not know: what was found, what was expected, the nearest name.
MetricLine read_metric_line(std::string_view line);

// Cuts what comes from a pipe into lines. Not thread-safe.
class LineSplitter {
  public:
    explicit LineSplitter(std::size_t most_bytes = 1U << 20) : most_bytes_(most_bytes) {}

    // The lines that these bytes complete, without their ends ("\n" or "\r\n"). What a terminal would overwrite ("\r")
    // is left out. A line of more than `most_bytes` is cut there, and its rest dropped.
    std::vector<std::string> add(std::string_view bytes);

    // What is left at the end without the end of a line; empty: nothing.
    std::string rest();

  private:
    std::size_t most_bytes_;
    std::string line_;
};

}  // namespace orchestrate
