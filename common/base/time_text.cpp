#include "common/base/time_text.h"

#include <cmath>

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace orchestrate {

std::string utc_time_text(std::chrono::system_clock::time_point time) {
    const auto milliseconds = std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch());
    const auto seconds = std::chrono::floor<std::chrono::seconds>(milliseconds);
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(static_cast<std::time_t>(seconds.count())),
                       (milliseconds - seconds).count());
}

std::string utc_now_text() {
    return utc_time_text(std::chrono::system_clock::now());
}

std::string duration_text(std::chrono::duration<double> duration) {
    const auto seconds = static_cast<long long>(std::llround(std::max(0.0, duration.count())));
    if (duration.count() >= 0.05 && duration.count() < 0.95) {
        return fmt::format("{:.1f} s", duration.count());
    }
    if (seconds < 60) {
        return fmt::format("{} s", seconds);
    }
    if (seconds < 3600) {
        return fmt::format("{} min {:02} s", seconds / 60, seconds % 60);
    }
    if (seconds < 86400) {
        return fmt::format("{} h {:02} min", seconds / 3600, seconds / 60 % 60);
    }
    return fmt::format("{} d {} h", seconds / 86400, seconds / 3600 % 24);
}

}  // namespace orchestrate
