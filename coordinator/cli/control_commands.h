// The commands that look at what runs and change it, while a coordinator works (from any terminal, or another host with
// its access file) and on a database that nobody has. Each returns the program's exit code; mistakes are UserErrors.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "coordinator/cli/client.h"
#include "results/tables.h"

namespace orchestrate {

// What runs now, or how far each study is.
int show_status(const Place& place, OutputFormat format);

struct JobsArguments {
    std::optional<std::string> study;
    std::vector<std::string> states;
    std::int64_t limit = 0;  // 0: all
    OutputFormat format = OutputFormat::table;
};
int show_jobs(const Place& place, const JobsArguments& arguments);

int show_job(const Place& place, const std::string& job, bool json);

int show_why(const Place& place, const std::string& job, bool json);

struct LogsArguments {
    std::string job;
    std::int64_t attempt = 0;  // 0: all; of a job that is followed: the newest
    bool only_paths = false;
    bool follow = false;
    bool json = false;
};
int show_logs(const Place& place, const LogsArguments& arguments);

int show_table(const Place& place, const std::optional<std::string>& study,
               const std::optional<std::string>& stage, OutputFormat format);

// cancel, retry, pause, resume of a coordinator that runs, drain: says what was done once it is on disk.
int change(const Place& place, const ControlRequest& request, bool json);

}  // namespace orchestrate
