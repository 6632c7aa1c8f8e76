#include "coordinator/cli/control_commands.h"

#include <iostream>
#include <thread>

#include <fmt/format.h>

#include "common/base/host.h"
#include "common/base/printable.h"
#include "coordinator/cli/offline_control.h"
#include "coordinator/database/database_lock.h"
#include "coordinator/database/database_owner.h"
#include "coordinator/database/read_database.h"
#include "coordinator/report/job_report.h"
#include "coordinator/report/progress_display.h"
#include "coordinator/report/terminal.h"
#include "coordinator/report/why.h"
#include "results/display_width.h"
#include "results/job_list.h"
#include "results/job_logs.h"

namespace orchestrate {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t kPipeWidth = 200;  // of what is made for a terminal and goes elsewhere
constexpr auto kFollowInterval = 500ms;
constexpr auto kPatience = 10s;

// Says how old the answer is where the database itself could not be read.
template <class Reply>
Reply with_its_age(Reply reply) {
    if (reply.age_seconds) {
        std::cerr << fmt::format(
            "of {:.0f} s ago: on this file system only the coordinator can read the database, and makes "
            "copies of it\n",
            *reply.age_seconds);
    }
    return reply;
}

// The coordinator that has the database; nothing, said on standard error, also if it does not answer.
std::optional<Client> reach_or_say_silence(const Place& place) {
    try {
        return Client::reach(place);
    } catch (const CoordinatorSilent& error) {
        if (place.access) {
            throw;
        }
        std::cerr << error.what() << ". What follows is read from its database\n";
        return std::nullopt;
    }
}

// Whether a coordinator has the database, also one that is about to begin or to end, or one of another host that this one
// cannot reach.
bool somebody_has(const Place& place, SQLite::Database& database) {
    const auto owner = read_owner(database);
    if (owner && owner->host != host_name()) {
        const auto silence = silence_of(*owner, std::chrono::system_clock::now());
        return silence && *silence < std::chrono::seconds(DatabaseLock::kHeartbeatLimitSeconds);
    }
    return DatabaseLock::is_held(place.database);
}

// On standard error, for answers that show states: what a coordinator that was killed has left as running does not run.
void say_that_nobody_runs(const Place& place, SQLite::Database& database) {
    SQLite::Statement query(database, "SELECT name FROM studies WHERE state = 'running' ORDER BY id");
    std::string studies;
    while (query.executeStep()) {
        studies += (studies.empty() ? "" : " or ") + query.getColumn(0).getString();
    }
    if (!studies.empty() && !somebody_has(place, database)) {
        std::cerr << "no coordinator is running, so nothing runs here at the moment; orchestrate resume "
                  << printable(studies) << " goes on\n";
    }
}

enum class ShowsStates { no, yes };

// The answer of the coordinator that has the database, or what `read(database)` finds in the file.
template <class Reply, class Read>
Reply ask_or_read(const Place& place, const ClientRequest& request, Read read,
                  ShowsStates shows = ShowsStates::no) {
    if (auto client = reach_or_say_silence(place)) {
        return with_its_age(client->ask<Reply>(request));
    }
    auto database = open_to_read(place.database);
    Reply reply = read(database);
    if (shows == ShowsStates::yes) {
        say_that_nobody_runs(place, database);
    }
    return reply;
}

int show_stored_status(const Place& place, OutputFormat format) {
    auto database = open_to_read(place.database);
    say_that_nobody_runs(place, database);
    std::cout << render_study_status(database, output_width(), format);
    return 0;
}

void print_text(const std::string& text, const char* key, bool json) {
    if (json) {
        std::cout << Json{{key, text}}.dump() << "\n";
    } else {
        std::cout << wrapped(text, output_width());
    }
}

}  // namespace

int show_status(const Place& place, OutputFormat format) {
    StatusReply status;
    try {
        auto client = Client::reach(place);
        if (!client) {
            return show_stored_status(place, format);
        }
        status = client->ask<StatusReply>(StatusRequest{});
    } catch (const CoordinatorSilent& error) {
        if (place.access) {
            throw;
        }
        std::cerr << error.what() << ". What follows is read from its database\n";
        show_stored_status(place, format);
        return 1;
    }
    if (format == OutputFormat::json) {
        std::cout << Json(status).dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
        return 0;
    }
    const std::size_t width = output_width();
    std::cout << fmt::format(
        "coordinator: process {} on {}, {}, {} waiting\n", status.process_id, status.host,
        status.workers.size() == 1 ? "1 worker" : fmt::format("{} workers", status.workers.size()),
        status.waiting == 1 ? "1 job" : fmt::format("{} jobs", status.waiting));
    if (!status.paused.empty()) {
        std::cout << wrapped("nothing is handed out at the moment: " + status.paused, width);
    }
    for (const auto& line : render_progress(status, width == 0 ? kPipeWidth : width)) {
        std::cout << line << "\n";
    }
    for (const auto& study : status.studies) {
        if (study.state != "running" && study.state != "paused") {
            std::cout << study.study << ": " << study.state << "\n";
        }
    }
    return 0;
}

int show_jobs(const Place& place, const JobsArguments& arguments) {
    const JobsRequest wanted{arguments.study.value_or(""), arguments.states, arguments.limit};
    const auto reply = ask_or_read<JobsReply>(
        place, wanted, [&](SQLite::Database& database) { return list_jobs(database, wanted); },
        ShowsStates::yes);
    std::cout << render_jobs(reply, output_width(), arguments.format);
    return 0;
}

int show_job(const Place& place, const std::string& job, bool json) {
    const JobRequest wanted{job};
    const auto reply = ask_or_read<JobReply>(
        place, wanted, [&](SQLite::Database& database) { return JobReply{describe_job(database, job)}; },
        ShowsStates::yes);
    std::cout << (json ? Json(reply.job).dump(2, ' ', false, Json::error_handler_t::replace) + "\n"
                       : render_job(reply.job, output_width()));
    return 0;
}

int show_why(const Place& place, const std::string& job, bool json) {
    const WhyRequest wanted{job};
    const auto reply = ask_or_read<TextReply>(place, wanted, [&](SQLite::Database& database) {
        return TextReply{why_text(stored_facts(database, job))};
    });
    print_text(reply.text, "why", json);
    return 0;
}

int show_table(const Place& place, const std::optional<std::string>& study,
               const std::optional<std::string>& stage, OutputFormat format) {
    const TableRequest wanted{study.value_or(""), stage.value_or(""),
                              static_cast<std::int64_t>(output_width()), to_string(format)};
    const auto reply = ask_or_read<TextReply>(
        place, wanted, [&](SQLite::Database& database) { return TextReply{table_text(database, wanted)}; },
        ShowsStates::yes);
    std::cout << reply.text;
    return 0;
}

namespace {

// Nothing also for a coordinator that begins: it has taken the connection, and answers soon.
std::optional<Client> reach_within(const Place& place, std::chrono::steady_clock::time_point deadline) {
    try {
        return Client::reach(place);
    } catch (const CoordinatorSilent&) {
        if (std::chrono::steady_clock::now() > deadline) {
            throw;
        }
        return std::nullopt;
    }
}

}  // namespace

int change(const Place& place, const ControlRequest& request, bool json) {
    const auto patience_ends = std::chrono::steady_clock::now() + kPatience;
    while (true) {
        if (auto client = reach_within(place, patience_ends)) {
            print_text(client->ask<TextReply>(request).text, "done", json);
            return 0;
        }
        try {
            print_text(control_offline(place.database, request), "done", json);
            return 0;
        } catch (const DatabaseHeld&) {
            // A coordinator that begins or ends has the database and answers nobody.
            if (std::chrono::steady_clock::now() > patience_ends) {
                throw;
            }
        }
        std::this_thread::sleep_for(kFollowInterval);
    }
}

namespace {

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
int follow_log(const Place& place, const LogsArguments& arguments) {
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

}  // namespace

int show_logs(const Place& place, const LogsArguments& arguments) {
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

}  // namespace orchestrate
