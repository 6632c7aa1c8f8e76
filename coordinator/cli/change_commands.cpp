// `orchestrate cancel`, `retry`, `pause` and `drain`: each says what was done once it is on disk.
#include <thread>

#include <CLI/CLI.hpp>

#include "coordinator/cli/answers.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/command_options.h"
#include "coordinator/cli/offline_control.h"
#include "coordinator/database/database_lock.h"

namespace orchestrate {
namespace {

using namespace std::chrono_literals;

constexpr auto kRetryInterval = 500ms;
constexpr auto kStartTimeout = 10s;  // of a coordinator that begins

struct Options {
    PlaceOptions place;
    std::string target;
    bool json = false;
};

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

int change(const Place& place, const ControlRequest& request, bool json) {
    const auto deadline = std::chrono::steady_clock::now() + kStartTimeout;
    while (true) {
        if (auto client = reach_within(place, deadline)) {
            print_text(client->ask<TextReply>(request).text, "done", json);
            return 0;
        }
        try {
            print_text(control_offline(place.database, request), "done", json);
            return 0;
        } catch (const DatabaseHeld&) {
            // A coordinator that begins or ends has the database and answers nobody.
            if (std::chrono::steady_clock::now() > deadline) {
                throw;
            }
        }
        std::this_thread::sleep_for(kRetryInterval);
    }
}

void add_change(CommandLine& line, Control control, const std::string& about, const char* what,
                const char* help) {
    const auto options = std::make_shared<Options>();
    CLI::App& command = line.add_while_running(to_string(control), about, [options, control] {
        return change(options->place.place(), {control, options->target}, options->json);
    });
    add_place(command, options->place);
    command.add_flag("--json", options->json, "Print JSON");
    command.add_option("target", options->target, help)->required()->type_name(what);
}

}  // namespace

void add_change_commands(CommandLine& line) {
    constexpr const char* kJobOrStudy = "A study, a job's number, or the first characters of its identity";
    add_change(line, Control::cancel, "Cancel a job, or a study with its jobs; what was measured is kept",
               "JOB|STUDY", kJobOrStudy);
    add_change(line, Control::retry, "Try again a job, or all jobs of a study, that failed or were cancelled",
               "JOB|STUDY", kJobOrStudy);
    add_change(line, Control::pause, "Begin nothing new of a study; what runs goes on", "STUDY", "The study");
    add_change(line, Control::drain, "Let a worker end after its job, and leave its place empty", "WORKER",
               "As `orchestrate status` names it");
}

}  // namespace orchestrate
