// A place where workers run, with slots, as the dispatcher sees it.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "coordinator/sites/worker_shape.h"

namespace orchestrate {

struct SiteWorkerExit {
    std::string worker;
    int exit_code = 0;
    int signal = 0;
    std::string error;            // set if it could not be started at all
    std::string step_state = {};  // Slurm's word if Slurm ended it as a step, unasked: "CANCELLED", "TIMEOUT"
};

class Site {
  public:
    virtual ~Site() = default;
    virtual void start(const std::string& worker, const WorkerShape& shape) = 0;
    virtual void stop(const std::string& worker, std::chrono::milliseconds grace) = 0;
    // Workers that ended since the last call.
    virtual std::vector<SiteWorkerExit> take_exits() = 0;
    // Whether processes that this site started still live here.
    virtual bool has_processes() const = 0;
    // How long a worker that has been started may take to connect before it is given up.
    virtual std::chrono::seconds start_limit() const = 0;
};

}  // namespace orchestrate
