// Following a study that a coordinator elsewhere runs: what a user sees is what they would see if it ran here.
#pragma once

#include <string>

#include "coordinator/cli/client.h"

namespace orchestrate {

// Until the study has ended, or a signal comes: then the user is told that it goes on. Prints its table at the end.
// Returns the exit code of `orchestrate run`; 0 after a signal.
int follow_study(Client client, const Place& place, const std::string& study);

// What is said of a study that has ended so, on standard error; its exit code.
int report_outcome(const std::string& study, const std::string& state);

}  // namespace orchestrate
