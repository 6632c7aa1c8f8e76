// A token bucket: how often something may be done on a peer's behalf, such as a line of the log.
#pragma once

#include <algorithm>
#include <chrono>

namespace orchestrate {

// Not thread-safe.
class RateLimit {
  public:
    using Time = std::chrono::steady_clock::time_point;

    // At most `burst` at once, and `per_second` in the long run.
    RateLimit(double burst, double per_second) : burst_(burst), per_second_(per_second), left_(burst) {}

    // Whether it may be done once more now.
    bool take(Time now) {
        const double gained = since_ < now && since_ != Time{}
                                  ? std::chrono::duration<double>(now - since_).count() * per_second_
                                  : 0;
        since_ = std::max(since_, now);
        left_ = std::min(burst_, left_ + gained);
        if (left_ < 1) {
            return false;
        }
        --left_;
        return true;
    }

  private:
    double burst_;
    double per_second_;
    double left_;
    Time since_{};
};

}  // namespace orchestrate
