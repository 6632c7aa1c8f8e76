#include "worker/training/support/step_trace.h"

#include <algorithm>
#include <fstream>
#include <map>

#include "common/base/error.h"
#include "common/base/json.h"

namespace orchestrate {

namespace {

using std::chrono::steady_clock;
using std::chrono::system_clock;

constexpr const char* kSum = "sum over ranks";

double seconds(steady_clock::duration duration) {
    return std::chrono::duration<double>(duration).count();
}

}  // namespace

StepTrace::StepTrace(int rank, std::int64_t steps) : rank_(rank), steps_(steps) {}

void StepTrace::begin_step(std::int64_t step) {
    const std::lock_guard lock(mutex_);
    ++steps_begun_;
    step_ = step;
}

void StepTrace::add_span(const char* name, Time begin, Time end) {
    const std::lock_guard lock(mutex_);
    if (is_recording()) {
        events_.push_back({step_, name, -1, begin, end});
    }
}

void StepTrace::add_sum(std::int64_t bytes, Time begin, Time end) {
    const std::lock_guard lock(mutex_);
    if (is_recording()) {
        events_.push_back({step_, kSum, bytes, begin, end});
    }
}

SumOverlap StepTrace::overlap() const {
    const std::lock_guard lock(mutex_);
    struct Step {
        Time backward_end;
        std::vector<std::pair<Time, Time>> sums;
    };
    std::map<std::int64_t, Step> steps;
    for (const Event& event : events_) {
        Step& step = steps[event.step];
        if (event.bytes >= 0) {
            step.sums.emplace_back(event.begin, event.end);
        } else if (std::string(event.name) == kBackward) {
            step.backward_end = std::max(step.backward_end, event.end);
        }
    }
    SumOverlap found;
    for (auto& [number, step] : steps) {
        ++found.steps;
        std::sort(step.sums.begin(), step.sums.end());
        Time covered = Time::min();
        bool early = false;
        for (const auto& [sum_begin, end] : step.sums) {
            early = early || end < step.backward_end;
            const Time begin = std::max(sum_begin, covered);
            if (end > begin) {
                found.seconds += seconds(end - begin);
                found.hidden_seconds +=
                    seconds(std::max(Time::duration(0), std::min(end, step.backward_end) - begin));
                covered = end;
            }
        }
        found.steps_with_early_sum += early ? 1 : 0;
    }
    return found;
}

void StepTrace::write(const std::filesystem::path& file) const {
    const std::lock_guard lock(mutex_);
    // The time of day, so that ranks of several hosts lie on one axis as far as their clocks agree.
    const auto day_offset = system_clock::now().time_since_epoch() - steady_clock::now().time_since_epoch();
    const auto microseconds = [&](Time time) {
        return std::chrono::duration<double, std::micro>(time.time_since_epoch() + day_offset).count();
    };
    Json events = Json::array();
    events.push_back({{"ph", "M"},
                      {"name", "process_name"},
                      {"pid", rank_},
                      {"args", {{"name", "rank " + std::to_string(rank_)}}}});
    std::int64_t sums = 0;
    for (const Event& event : events_) {
        Json entry{{"name", event.name},
                   {"cat", "step"},
                   {"pid", rank_},
                   {"tid", 0},
                   {"ts", microseconds(event.begin)},
                   {"args", {{"step", event.step}}}};
        if (event.bytes < 0) {
            entry["ph"] = "X";
            entry["dur"] = seconds(event.end - event.begin) * 1e6;
            events.push_back(std::move(entry));
            continue;
        }
        // Sums overlap each other: pairs of asynchronous events.
        entry["ph"] = "b";
        entry["cat"] = "sum";
        entry["id"] = ++sums;
        entry["args"]["bytes"] = event.bytes;
        events.push_back(entry);
        entry["ph"] = "e";
        entry["ts"] = microseconds(event.end);
        events.push_back(std::move(entry));
    }
    std::ofstream out(file);
    out << Json{{"displayTimeUnit", "ms"}, {"traceEvents", std::move(events)}};
    out.flush();
    if (!out) {
        throw UserError("cannot write the trace '" + file.string() + "'");
    }
}

std::filesystem::path trace_file_of(const std::filesystem::path& file, int rank) {
    if (rank == 0) {
        return file;
    }
    return file.parent_path() /
           (file.stem().string() + "-rank-" + std::to_string(rank) + file.extension().string());
}

}  // namespace orchestrate
