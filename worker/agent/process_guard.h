// Ends what a worker has started when the worker itself is killed: a small process beside it that holds one end of a
// pipe, knows the process group that runs, and kills it when the other end is gone.
#pragma once

#include <sys/types.h>

namespace orchestrate {

// Not thread-safe. Forks at once.
class ProcessGuard {
  public:
    // Throws std::system_error.
    ProcessGuard();
    ~ProcessGuard();  // what it still watches is killed
    ProcessGuard(const ProcessGuard&) = delete;
    ProcessGuard& operator=(const ProcessGuard&) = delete;

    // The process group that dies with this process, in place of the one before; 0: none.
    void watch(pid_t group);

  private:
    int pipe_ = -1;
    pid_t guard_ = -1;
};

}  // namespace orchestrate
