// The commands that run studies: `run`, which hosts a coordinator or submits to the one that there is, `serve` and
// `resume`. Each returns the program's exit code, as in commands.h.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "coordinator/cli/client.h"

namespace orchestrate {

// How a coordinator is set up that a command hosts.
struct HostArguments {
    int workers = 0;         // 0: what the study says
    bool take_over = false;  // replace a silent coordinator on another host
    bool reachable = false;  // from other hosts
    double heartbeat_seconds = 4;
};

struct RunArguments {
    std::filesystem::path file;
    Place place;
    std::vector<std::string> overrides;
    HostArguments host;
};
int run_study(const RunArguments& arguments, const std::string& program_version);

// A coordinator without a study of its own; it goes on with what is unfinished and waits for more.
int serve(const Place& place, const HostArguments& host, const std::string& program_version);

// Goes on with a study, or with all that are unfinished: in the coordinator that there is, else in one of its own.
int resume(const Place& place, const std::optional<std::string>& study, const HostArguments& host, bool json,
           const std::string& program_version);

}  // namespace orchestrate
