// `orchestrate top`: studies, workers, the queue and the last events, live on a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "coordinator/cli/client.h"

namespace orchestrate {

// The screen of that size: never more lines or columns. At least 4 lines of 20 columns are needed to say anything.
// `silence`: that the coordinator does not answer, and for how long; empty: it does.
std::vector<std::string> render_top(const StatusReply& status, std::size_t columns, std::size_t lines,
                                    const std::string& silence = {});

// Until q, Ctrl-C or the end of the coordinator; redraws when the terminal changes its size. Where standard output is no
// terminal, prints once. Throws UserError if no coordinator has the database.
int show_top(const Place& place, bool json);

}  // namespace orchestrate
