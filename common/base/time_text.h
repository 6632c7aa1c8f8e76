// Times as text: UTC time stamps for the database and logs, durations for users.
#pragma once

#include <chrono>
#include <string>

namespace orchestrate {

// "2026-11-23T02:35:07.123Z"
std::string utc_time_text(std::chrono::system_clock::time_point time);
std::string utc_now_text();

// "0.4 s", "42 s", "3 min 05 s", "2 h 10 min", "3 d 4 h"
std::string duration_text(std::chrono::duration<double> duration);

}  // namespace orchestrate
