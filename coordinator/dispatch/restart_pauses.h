// Jobs whose command asks to be started again soon after it began wait before they are: longer each time, until one of
// their attempts runs long. Pure: the caller passes the time.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "common/job/ids.h"

namespace orchestrate {

class RestartPauses {
  public:
    using Time = std::chrono::steady_clock::time_point;
    static constexpr std::chrono::seconds kFirstPause{1};
    static constexpr std::chrono::seconds kLongestPause{60};
    // An attempt that ran for so long is begun again at once.
    static constexpr std::chrono::seconds kLongAttempt{30};

    // An attempt of the job has ended so after `ran`.
    void asked_again(JobId job, std::chrono::duration<double> ran, Time now);

    // The job is over.
    void forget(JobId job) { jobs_.erase(job); }

    bool rests(JobId job) const;

    // How long it still rests, in whole seconds; nothing: it does not.
    std::optional<std::chrono::seconds> left(JobId job, Time now) const;

    // Jobs whose pause is over, once each.
    std::vector<JobId> take_over(Time now);

  private:
    struct Job {
        std::chrono::seconds pause{0};  // the last one
        std::optional<Time> until;      // nothing: it is over
    };
    std::map<JobId, Job> jobs_;
};

}  // namespace orchestrate
