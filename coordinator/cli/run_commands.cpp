#include "coordinator/cli/run_commands.h"

#include <algorithm>
#include <iostream>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "coordinator/cli/follow.h"
#include "coordinator/cli/study_commands.h"
#include "coordinator/database/read_database.h"
#include "coordinator/report/progress_display.h"
#include "coordinator/report/terminal.h"
#include "coordinator/server/coordinator.h"
#include "coordinator/sites/local_devices.h"
#include "results/tables.h"

namespace orchestrate {
namespace {

using namespace std::chrono_literals;

// A coordinator that begins or ends has the database, but answers nobody.
constexpr auto kPatience = 30s;
constexpr auto kRetry = 200ms;

CoordinatorOptions options_of(const Place& place, const HostArguments& host,
                              const std::string& program_version) {
    CoordinatorOptions options;
    options.database = place.database;
    options.program_version = program_version;
    options.workers = host.workers;
    options.take_over = host.take_over;
    options.reachable = host.reachable;
    options.heartbeat_interval =
        std::chrono::milliseconds(static_cast<std::int64_t>(1000 * host.heartbeat_seconds));
    return options;
}

void print_comparison(const std::filesystem::path& path, const std::string& study) {
    auto database = open_to_read(path);
    std::cout << "\n" << render_comparison(database, study, std::nullopt, output_width()) << std::flush;
}

std::string changes_since_last_run(const Study& study, const Place& place) {
    try {
        return place.access ? "" : difference_to_last_run(study, place.database);
    } catch (const UserError&) {
        return {};  // the coordinator that has the database keeps it for itself
    }
}

// Submits to the coordinator that there is and follows; nothing if there is none, or it is about to end.
std::optional<int> submit_and_follow(const Study& study, const RunArguments& arguments) {
    const Place& place = arguments.place;
    auto client = Client::reach(place);
    if (!client) {
        return std::nullopt;
    }
    if (arguments.host.workers > 0 || arguments.host.reachable) {
        std::cerr << "--workers and --reachable change nothing: a coordinator is running already\n";
    }
    const auto accepted = client->ask<StudyAccepted>(SubmitStudy{study.file.string(), study.toml});
    if (accepted.ending) {
        return std::nullopt;
    }
    std::cout << (accepted.known ? "study " + study.name + " is running already; following it\n"
                                 : "submitted study " + study.name + " to the coordinator that is running\n")
              << std::flush;
    return follow_study(*std::move(client), place, study.name);
}

// Tries to reach a coordinator and to be one, in turn, until one of both works.
template <class Elsewhere, class Here>
int elsewhere_or_here(const Place& place, Elsewhere elsewhere, Here here) {
    const auto begun_at = std::chrono::steady_clock::now();
    const auto patience_ends = begun_at + kPatience;
    WhileWaiting say_silence = say_silence_once();
    while (true) {
        try {
            if (const std::optional<int> code = elsewhere()) {
                return *code;
            }
        } catch (const CoordinatorSilent&) {
            // One that begins has taken the connection, and answers soon.
            const auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(
                std::chrono::steady_clock::now() - begun_at);
            if (waited > kPatience) {
                throw CoordinatorSilent(silence_text(waited) +
                                        ", though its process lives; end it, or wait until it does");
            }
            say_silence(waited);
            continue;
        }
        try {
            if (!place.access) {
                return here();
            }
        } catch (const DatabaseHeld&) {
            if (std::chrono::steady_clock::now() > patience_ends) {
                throw;
            }
        }
        if (place.access && std::chrono::steady_clock::now() > patience_ends) {
            throw UserError("the coordinator that '" + place.access->string() +
                            "' names is about to end; start it again");
        }
        std::this_thread::sleep_for(kRetry);
    }
}

int host_study(const Study& study, const RunArguments& arguments, const std::string& program_version) {
    StudyState outcome{};
    std::vector<std::string> others;
    {
        ProgressDisplay display(stdout);
        Coordinator coordinator(options_of(arguments.place, arguments.host, program_version), display);
        if (coordinator.add(study)) {
            const auto also = coordinator.add_unfinished(Unfinished::left_running);
            if (!also.empty()) {
                display.note(fmt::format("goes on also with: {}", fmt::join(also, ", ")));
            }
        } else if (const auto left = coordinator.left_running(); !left.empty()) {
            display.note(
                fmt::format("left unfinished by a coordinator that was killed: {0} (orchestrate resume {0} "
                            "goes on)",
                            fmt::join(left, " ")));
        }
        coordinator.run();
        outcome = coordinator.outcome(study.name);
    }
    print_comparison(arguments.place.database, study.name);
    return report_outcome(study.name, to_string(outcome));
}

int host_unfinished(const Place& place, const std::optional<std::string>& study, const HostArguments& host,
                    const std::string& program_version) {
    open_to_read(place.database);  // a mistyped name makes no database
    std::vector<std::string> names;
    int code = 0;
    {
        ProgressDisplay display(stdout);
        Coordinator coordinator(options_of(place, host, program_version), display);
        if (study) {
            coordinator.add_stored(*study);
        } else if (coordinator.add_unfinished(Unfinished::interrupted).empty()) {
            std::cout << "nothing is unfinished in '" << place.database.string() << "'\n";
            return 0;
        }
        coordinator.lift_pauses();
        names = coordinator.studies();
        coordinator.run();
        for (const auto& name : names) {
            code = std::max(code, coordinator.outcome(name) == StudyState::finished ? 0 : 1);
        }
        code = coordinator.interrupted() ? 130 : code;
    }
    for (const auto& name : names) {
        print_comparison(place.database, name);
    }
    return code;
}

}  // namespace

int run_study(const RunArguments& arguments, const std::string& program_version) {
    const Study study = load_study(arguments.file, arguments.overrides, look_at_devices());
    for (const auto& warning : study.warnings) {
        std::cerr << render(warning) << "\n";
    }
    std::cout << changes_since_last_run(study, arguments.place) << std::flush;
    return elsewhere_or_here(
        arguments.place, [&] { return submit_and_follow(study, arguments); },
        [&] { return host_study(study, arguments, program_version); });
}

int serve(const Place& place, const HostArguments& host, const std::string& program_version) {
    ProgressDisplay display(stdout);
    auto options = options_of(place, host, program_version);
    options.stay = true;
    Coordinator coordinator(options, display);
    const auto names = coordinator.add_unfinished(Unfinished::interrupted);
    if (!names.empty()) {
        display.note(fmt::format("goes on with: {}", fmt::join(names, ", ")));
    }
    display.note("waiting for studies: orchestrate run FILE --db " + place.database.string());
    coordinator.run();
    return 0;
}

int resume(const Place& place, const std::optional<std::string>& study, const HostArguments& host, bool json,
           const std::string& program_version) {
    return elsewhere_or_here(
        place,
        [&]() -> std::optional<int> {
            auto client = Client::reach(place);
            if (!client) {
                return std::nullopt;
            }
            const auto reply = client->ask<TextReply>(ControlRequest{Control::resume, study.value_or("")});
            std::cout << (json ? Json{{"done", reply.text}}.dump() : reply.text) << "\n";
            return 0;
        },
        [&] { return host_unfinished(place, study, host, program_version); });
}

}  // namespace orchestrate
