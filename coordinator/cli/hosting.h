// What the commands share that host a coordinator unless there is one: run, resume, serve.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>

#include "common/base/error.h"
#include "coordinator/cli/client.h"
#include "coordinator/cli/command_options.h"
#include "coordinator/database/database_lock.h"
#include "coordinator/server/coordinator.h"

namespace orchestrate {

// A coordinator that begins or ends has the database, but answers nobody: how long commands wait for it.
inline constexpr std::chrono::seconds kStartTimeout{30};
inline constexpr std::chrono::milliseconds kRetryInterval{200};

CoordinatorOptions coordinator_options(const Place& place, const HostOptions& host,
                                       const std::string& program_version);

void print_comparison(const std::filesystem::path& database, const std::string& study);

// Tries to reach a coordinator and to be one, in turn, until one of both works. `elsewhere`: the exit code, or nothing if there
// is no coordinator; `here`: the exit code, or throws DatabaseHeld. Throws UserError if neither works in time.
template <class Elsewhere, class Here>
int elsewhere_or_here(const Place& place, Elsewhere elsewhere, Here here) {
    const auto begun_at = std::chrono::steady_clock::now();
    const auto deadline = begun_at + kStartTimeout;
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
            if (waited > kStartTimeout) {
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
            if (std::chrono::steady_clock::now() > deadline) {
                throw;
            }
        }
        if (place.access && std::chrono::steady_clock::now() > deadline) {
            throw UserError("the coordinator that '" + place.access->string() +
                            "' names is about to end; start it again");
        }
        std::this_thread::sleep_for(kRetryInterval);
    }
}

}  // namespace orchestrate
