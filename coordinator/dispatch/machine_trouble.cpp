#include "coordinator/dispatch/machine_trouble.h"

#include <algorithm>

namespace orchestrate {

MachineTrouble::Reported MachineTrouble::reported(const std::string& name, const std::string& what,
                                                  Time now) {
    Host& host = hosts_[name];
    host.what = what;
    if (!host.paused) {
        const int doublings = std::min(host.reports, 10);
        const auto pause = std::min(kLongestPause, kFirstPause * (1 << doublings));
        ++host.reports;
        host.paused = true;
        host.until = now + pause;
    }
    Reported reported;
    reported.pause = std::chrono::ceil<std::chrono::seconds>(host.until - now);
    reported.to_be_said = host.reports >= kReportsUntilSaid && !host.said;
    host.said = host.said || reported.to_be_said;
    return reported;
}

bool MachineTrouble::succeeded(const std::string& name) {
    const auto found = hosts_.find(name);
    if (found == hosts_.end() || found->second.paused) {
        return false;  // a job that began before the trouble
    }
    const bool said = found->second.said;
    hosts_.erase(found);
    return said;
}

bool MachineTrouble::is_paused(const std::string& name) const {
    const auto found = hosts_.find(name);
    return found != hosts_.end() && found->second.paused;
}

std::vector<std::string> MachineTrouble::take_over(Time now) {
    std::vector<std::string> over;
    for (auto& [name, host] : hosts_) {
        if (host.paused && now >= host.until) {
            host.paused = false;
            over.push_back(name);
        }
    }
    return over;
}

std::string MachineTrouble::reason() const {
    for (const auto& [name, host] : hosts_) {
        if (host.paused) {
            return name + " reports: " + host.what;
        }
    }
    return "";
}

}  // namespace orchestrate
