// What a user sees while a study runs: on a terminal a block that is repainted in place, elsewhere plain
// lines.
#pragma once

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "common/protocol/messages.h"

namespace orchestrate {

class ProgressDisplay {
  public:
    // Writes to `output`; repaints if it is a terminal.
    explicit ProgressDisplay(std::FILE* output);
    ~ProgressDisplay();
    ProgressDisplay(const ProgressDisplay&) = delete;
    ProgressDisplay& operator=(const ProgressDisplay&) = delete;

    // The state now. On a terminal it is shown at once; elsewhere a summary line every 30 s.
    void update(const StatusReply& status);

    // A line that stays: a job has ended, a worker was lost. Control characters in it are shown escaped.
    void note(const std::string& line);

    // Wipes the repainted block.
    void clear();

  private:
    std::FILE* output_;
    bool terminal_;
    std::size_t painted_lines_ = 0;
    std::vector<std::string> last_block_;
    std::chrono::steady_clock::time_point summarised_at_;
};

// The block for a terminal of that many columns: two lines on each study that runs, one per worker.
std::vector<std::string> render_progress(const StatusReply& status, std::size_t columns);

}  // namespace orchestrate
