// Detects stalled attempts: their worker sends heartbeats, but no step, no evaluated text, no part of the data has been
// added for too long. Time without a heartbeat is not time without progress: what a worker has done since its last one
// is not known yet. So a limit below the heartbeat interval ends no attempt that makes progress. Pure: the caller
// passes the time.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace orchestrate {

class ProgressWatch {
  public:
    using Time = std::chrono::steady_clock::time_point;

    // Zero: nothing is ever overdue.
    void set_limit(std::chrono::milliseconds limit) { limit_ = limit; }
    std::chrono::milliseconds limit() const { return limit_; }

    // A worker begins an attempt, or comes back with one.
    void begin(const std::string& worker, Time now);

    // What a worker's heartbeat counts: each change is progress. Ignored for a worker without an attempt.
    void counted(const std::string& worker, std::int64_t advances, Time now);

    // Progress of another kind: an epoch has ended, a report has come.
    void advanced(const std::string& worker, Time now);

    // Its attempt has ended, or it is gone.
    void end(const std::string& worker);

    // Workers of which heartbeats have shown no progress for longer than the limit, by name.
    std::vector<std::string> overdue() const;

  private:
    struct Attempt {
        std::int64_t advances = 0;
        Time since;  // of the last progress
        Time seen;   // of the last heartbeat or progress
    };
    std::chrono::milliseconds limit_{0};
    std::map<std::string, Attempt> attempts_;
};

}  // namespace orchestrate
