// What `orchestrate top` shows: studies, workers, the queue and the last events.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "common/protocol/messages.h"

namespace orchestrate {

// The screen of that size: never more lines or columns. At least 4 lines of 20 columns are needed to say anything.
// `silence`: that the coordinator does not answer, and for how long; empty: it does.
std::vector<std::string> render_top(const StatusReply& status, std::size_t columns, std::size_t lines,
                                    const std::string& silence = {});

}  // namespace orchestrate
