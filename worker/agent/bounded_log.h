// The log of an attempt, of bounded size: its first lines as they come, and the last ones at the end.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "common/base/log.h"

namespace orchestrate {

class BoundedLog {
  public:
    // At most about `max_bytes` are written; 0: no limit. Not thread-safe.
    BoundedLog(Log log, std::int64_t max_bytes);
    ~BoundedLog();  // finishes it
    BoundedLog(const BoundedLog&) = delete;
    BoundedLog& operator=(const BoundedLog&) = delete;

    void add(const std::string& line);

    // Writes how much was left out, and the last lines. What is added afterwards is written as it comes: meant for the
    // few lines that say how the attempt ended.
    void finish();

  private:
    void keep(const std::string& line);

    Log log_;
    std::int64_t head_bytes_;  // below 0: no limit
    std::int64_t tail_bytes_;
    std::int64_t written_ = 0;
    bool is_cut_ = false;
    std::deque<std::string> tail_;
    std::int64_t bytes_in_tail_ = 0;
    std::int64_t lines_left_out_ = 0;
    std::int64_t bytes_left_out_ = 0;
};

}  // namespace orchestrate
