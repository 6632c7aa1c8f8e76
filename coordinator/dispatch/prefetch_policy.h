// How many jobs a worker may hold beyond the one it runs: as many as it does in the time that a message takes at worst,
// from how long jobs of its width took lately. Pure.
#pragma once

#include <chrono>
#include <map>

namespace orchestrate {

class PrefetchPolicy {
  public:
    using Seconds = std::chrono::duration<double>;
    static constexpr int kMax = 64;
    static constexpr Seconds kWorkAhead{0.2};

    // A job has succeeded on a worker of that width, so long after it could begin there.
    void took(int ranks, Seconds time);

    // 0 for long jobs, and until some have been seen.
    int ahead(int ranks) const;

    // How long a job of that width may run before those behind it are given to others.
    Seconds patience(int ranks) const;

  private:
    struct Width {
        int seen = 0;
        Seconds mean{0};  // of the latest ones, most of the last 16
    };
    std::map<int, Width> widths_;
};

}  // namespace orchestrate
