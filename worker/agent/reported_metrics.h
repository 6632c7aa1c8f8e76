// The metrics that a command has reported so far, and whether its last word on each can be taken. A value that is refused
// replaces an earlier one: what was overwritten by NaN, or by a line that is not understood, is no result.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/job/attempt.h"
#include "worker/agent/metric_lines.h"
#include "worker/training_api.h"

namespace orchestrate {

inline constexpr std::size_t kMaxReportedMetrics = 10'000;  // of different names at the end
inline constexpr std::size_t kMaxEpochValues = 200'000;     // of all epochs of an attempt

// Not thread-safe.
class ReportedMetrics {
  public:
    // `observer` gets progress, epochs and lines for the log. It must outlive this. There is always room for `declared`
    // ("test accuracy"), whatever else is reported.
    explicit ReportedMetrics(AttemptObserver& observer, std::vector<std::string> declared = {})
        : observer_(observer), declared_(std::move(declared)) {}

    void take(std::string_view line);

    // The values that hold: the declared ones in their order, then others in the order of the lines that reported them last.
    std::vector<MetricValue> values() const;

    // What keeps the attempt from succeeding, given that `expected` ("test accuracy") must be reported: `diverged` if one
    // of them is NaN or infinite, else `user_error`. Nothing: all of them hold.
    struct Fault {
        Cause cause = Cause::user_error;
        std::string message;
    };
    std::optional<Fault> fault(const std::vector<std::string>& expected) const;
    // The same, of NaN and infinities alone.
    std::optional<Fault> divergence(const std::vector<std::string>& expected) const;

  private:
    struct Report {
        std::int64_t line = 0;
        double value = 0;
        std::optional<RefusedMetric> refused;
    };

    void take_epoch(EpochMetrics epoch);
    void take_result(const MetricLine& line);
    void take_refused(const MetricLine& line);
    bool has_room_for(const std::string& key);
    bool holds(const Report& report) const { return !report.refused && report.line > doubtful_line_; }
    std::string reported_names() const;
    std::string missing_message(const std::string& expected) const;

    // The place among the declared ones, or behind them.
    std::size_t place_of(const std::string& key) const;

    AttemptObserver& observer_;
    std::vector<std::string> declared_;
    std::size_t undeclared_ = 0;  // of reports_
    bool said_no_room_ = false;
    std::int64_t lines_ = 0;
    std::map<std::string, Report> reports_;  // by "part name"
    std::map<std::string, MetricKey> keys_;  // of each
    std::int64_t doubtful_line_ = 0;  // the last that was not understood and may have held metrics; 0: none
    std::string doubt_;               // why
    std::string first_error_;
    std::int64_t newest_epoch_ = 0;
    std::size_t epoch_values_ = 0;
    bool said_too_many_ = false;
};

}  // namespace orchestrate
