// Hosts whose workers report that the machine, not a job, is to blame (no space, no inodes, no processes left): they get
// no jobs for a while, longer each time, until a job succeeds there. Pure: the caller passes the time.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace orchestrate {

class MachineTrouble {
  public:
    using Time = std::chrono::steady_clock::time_point;
    static constexpr std::chrono::seconds kFirstPause{1};
    static constexpr std::chrono::seconds kLongestPause{60};
    // From this report in a row on the user is told: one may be a peer that was lost.
    static constexpr int kReportsUntilSaid = 2;

    struct Reported {
        bool to_be_said = false;        // now, once per trouble
        std::chrono::seconds pause{0};  // until the host gets jobs again
    };
    // Reports that come while the host is paused are of jobs it had before, and make its pause no longer.
    Reported reported(const std::string& host, const std::string& what, Time now);

    // A job has succeeded there. True if the trouble that is over was said.
    bool succeeded(const std::string& host);

    bool is_paused(const std::string& host) const;
    // Whether no job has succeeded there since its last report.
    bool is_known(const std::string& host) const { return hosts_.contains(host); }

    // Hosts whose pause is over, once each.
    std::vector<std::string> take_over(Time now);

    // What was reported last by a host that is paused; empty: none is.
    std::string reason() const;

  private:
    struct Host {
        int reports = 0;  // in a row
        bool paused = false;
        bool said = false;
        Time until;
        std::string what;
    };
    std::map<std::string, Host> hosts_;
};

}  // namespace orchestrate
