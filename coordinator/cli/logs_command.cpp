// `orchestrate logs`.
#include <iostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "common/base/error.h"
#include "common/base/printable.h"
#include "coordinator/cli/answers.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/command_options.h"
#include "coordinator/report/terminal.h"
#include "results/job_list.h"
#include "results/job_logs.h"

namespace orchestrate {
namespace {

using namespace std::chrono_literals;

constexpr auto kFollowInterval = 500ms;

struct Options {
    PlaceOptions place;
    std::string job;
    std::int64_t attempt = 0;  // 0: all; of a job that is followed: the newest
    bool only_paths = false;
    bool follow = false;
    bool json = false;
};

LogReply log_piece(const Place& place, const LogRequest& wanted) {
    return ask_or_read<LogReply>(place, wanted,
                                 [&](SQLite::Database& database) { return read_log(database, wanted); });
}

void print_head(const LogReply& log) {
    std::cout << printable(fmt::format("==> attempt {} on {} ({}): {}", log.attempt, log.worker,
                                       log.cause.empty() ? "running" : log.cause, log.file))
              << "\n";
}

// A log as it comes, piece by piece.
class LogPrinter {
  public:
    // Returns the number of bytes taken.
    std::int64_t print(const LogReply& log) {
        const std::string_view bytes(reinterpret_cast<const char*>(log.bytes.values.data()),
                                     log.bytes.values.size());
        if (!bytes.empty()) {
            ends_line_ = bytes.back() == '\n';
        }
        std::cout << bytes << std::flush;
        return std::ssize(bytes);
    }
    // Before something else is printed.
    void end() {
        std::cout << (ends_line_ ? "" : "\n") << std::flush;
        ends_line_ = true;
    }

  private:
    bool ends_line_ = true;
};

// Until the job gets no further attempt, through those that come meanwhile.
int follow_log(const Place& place, const Options& arguments) {
    SignalWatch signals;
    LogPrinter printer;
    std::int64_t attempt = 0;
    std::int64_t offset = 0;
    while (true) {
        LogReply log = log_piece(place, {arguments.job, attempt, offset});
        if (log.attempt != attempt) {
            printer.end();
            print_head(log);
            attempt = log.attempt;
        }
        offset += printer.print(log);
        if (!std::cout) {
            return 0;  // nobody reads it, or the disk is full: StandardOutput::finish says which
        }
        if (!log.bytes.values.empty()) {
            if (signals.wait(0ms)) {
                return 130;
            }
            continue;
        }
        if (!log.cause.empty()) {
            if (log.over) {
                printer.end();
                return 0;
            }
            // Its next attempt, once there is one.
            if (const LogReply next = log_piece(place, {arguments.job, 0, 0}); next.attempt != attempt) {
                attempt = 0;
                offset = 0;
                continue;
            }
        }
        if (signals.wait(kFollowInterval)) {
            return 130;
        }
    }
}

// Hands the log of one attempt to `take`, a piece at a time. False if it cannot be read here.
template <class Take>
bool read_whole_log(const Place& place, const std::string& job, std::int64_t attempt, Take take) {
    std::int64_t offset = 0;
    try {
        while (true) {
            const LogReply piece = log_piece(place, {job, attempt, offset});
            if (piece.bytes.values.empty()) {
                return true;
            }
            take(piece);
            offset += std::ssize(piece.bytes.values);
        }
    } catch (const UserError&) {
        return false;
    }
}

bool print_log(const Place& place, const std::string& job, const AttemptDetails& attempt) {
    print_head({attempt.number, attempt.worker, attempt.host, attempt.log_file, attempt.cause, false, {}});
    LogPrinter printer;
    const bool readable =
        read_whole_log(place, job, attempt.number, [&](const LogReply& piece) { printer.print(piece); });
    printer.end();
    if (!readable) {
        std::cout << "(this file cannot be read here; it was written on the worker's host)\n";
    }
    return readable;
}

Json log_json(const Place& place, const std::string& job, const AttemptDetails& attempt, bool& readable) {
    std::string text;
    readable = read_whole_log(place, job, attempt.number, [&](const LogReply& piece) {
        text.append(piece.bytes.values.begin(), piece.bytes.values.end());
    });
    return {{"attempt", attempt.number}, {"worker", attempt.worker},
            {"host", attempt.host},      {"cause", attempt.cause},
            {"file", attempt.log_file},  {"text", readable ? Json(text) : Json()}};
}

int show_logs(const Place& place, const Options& arguments) {
    if (arguments.follow) {
        return follow_log(place, arguments);
    }
    const auto details =
        ask_or_read<JobReply>(place, JobRequest{arguments.job}, [&](SQLite::Database& database) {
            find_job_logs(database, arguments.job);  // says what is wrong if there is none
            return JobReply{describe_job(database, arguments.job)};
        });
    bool any_log = false;
    bool any_readable = false;
    Json all = Json::array();
    for (const auto& attempt : details.job.attempts) {
        if (attempt.log_file.empty() || (arguments.attempt > 0 && attempt.number != arguments.attempt)) {
            continue;
        }
        any_log = true;
        bool readable = true;
        if (arguments.only_paths) {
            std::cout << attempt.log_file << "\n";
        } else if (arguments.json) {
            all.push_back(log_json(place, arguments.job, attempt, readable));
        } else {
            readable = print_log(place, arguments.job, attempt);
        }
        any_readable = any_readable || readable;
    }
    if (!any_log) {
        throw UserError(
            arguments.attempt > 0
                ? fmt::format("job {} has no log of attempt {}: it has {}", details.job.row.job,
                              arguments.attempt,
                              details.job.attempts.size() == 1
                                  ? "1 attempt"
                                  : fmt::format("{} attempts", details.job.attempts.size()))
                : fmt::format("job {} has no log yet: it is {} and no attempt of it has written one",
                              details.job.row.job, details.job.row.state));
    }
    if (arguments.json && !arguments.only_paths) {
        std::cout << all.dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
    }
    return any_readable ? 0 : 1;
}

}  // namespace

void add_logs_command(CommandLine& line) {
    const auto options = std::make_shared<Options>();
    CLI::App& command = line.add_while_running("logs", "Print the logs of a job's attempts", [options] {
        return show_logs(options->place.place(), *options);
    });
    add_place(command, options->place);
    auto* json = command.add_flag("--json", options->json, "Print JSON");
    command.add_option("job", options->job, kJobHelp)->required()->type_name("JOB");
    auto* follow =
        command.add_flag("-f,--follow", options->follow, "Print what is added, until the job has ended");
    command.add_option("--attempt", options->attempt, "Only of this attempt")
        ->check(CLI::Range(1, 1'000'000))
        ->excludes(follow);
    command.add_flag("--paths", options->only_paths, "Only the names of the files")
        ->excludes(follow)
        ->excludes(json);
    json->excludes(follow);
}

}  // namespace orchestrate
