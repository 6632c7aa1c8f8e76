#include "coordinator/cli/client.h"

#include <iostream>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "common/base/host.h"
#include "common/protocol/access_file.h"
#include "coordinator/database/state_directory.h"
#include "coordinator/server/server.h"

namespace orchestrate {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

constexpr auto kConnectLimit = 5s;
// Reading a study with a large data file takes its time.
constexpr std::chrono::milliseconds kAnswerLimit = 300s;
// What only asks how everything stands is answered at once, or not at all.
constexpr std::chrono::milliseconds kStatusLimit = 30s;
constexpr std::chrono::milliseconds kLook = 100ms;
constexpr std::chrono::milliseconds kSaidAfter = 3s;

// The access file of the coordinator that has the database, if this user may know of one.
std::optional<std::filesystem::path> access_beside(const std::filesystem::path& database) {
    auto file = user_access_file(state_folder(database));
    std::error_code error;  // another user's directory cannot be looked into
    return std::filesystem::exists(file, error) && !error ? std::optional(std::move(file)) : std::nullopt;
}

// Whether the access file is about this database, and not about one that it is a copy of. Says so if it is.
bool is_for(const Access& access, const std::filesystem::path& database) {
    std::error_code error;
    const auto resolved = resolve_database(database);
    if (access.database.path.empty() || !std::filesystem::exists(resolved, error)) {
        return true;  // of an older release; or there is nothing to compare
    }
    if (is_same_file(access.database, place_of(resolved))) {
        return true;
    }
    std::cerr << "'" << resolved.string() << "' is not the database that its directory was made for, "
              << (access.database.path == resolved.string()
                      ? "but another file of that name"
                      : "'" + access.database.path + "', but a copy of it")
              << ": the coordinator of that one is not asked\n";
    return false;
}

}  // namespace

std::string silence_text(std::chrono::milliseconds waited) {
    return "the coordinator does not answer (for " +
           std::to_string(std::chrono::duration_cast<std::chrono::seconds>(waited).count()) + " s)";
}

WhileWaiting say_silence_once() {
    return [said = false](std::chrono::milliseconds waited) mutable {
        if (!said && waited >= kSaidAfter) {
            said = true;
            std::cerr << silence_text(waited) << "; waiting for it\n";
        }
        return true;
    };
}

std::optional<Client> Client::reach(const Place& place) {
    const auto found = place.access ? place.access : access_beside(place.database);
    if (!found) {
        return std::nullopt;
    }
    const std::filesystem::path& file = *found;
    const Access access = read_access_file(file);
    if (!place.access && !is_for(access, place.database)) {
        return std::nullopt;
    }
    Client client;
    std::exception_ptr failure;
    asio::co_spawn(
        *client.io_,
        [&]() -> asio::awaitable<void> {
            Hello hello;
            hello.role = Role::user;
            hello.host = host_name();
            auto connected = co_await connect_to_coordinator(access, hello, kConnectLimit);
            if (!access.database_id.empty() && access.database_id != connected.welcome.database_id) {
                throw UserError("the coordinator that '" + file.string() +
                                "' leads to has another database now; use the access file beside that one");
            }
            client.channel_.emplace(connected.connection);
        },
        [&](std::exception_ptr error) {
            failure = std::move(error);
            client.io_->stop();  // the connection has timers of its own
        });
    client.io_->run();
    if (!failure) {
        return client;
    }
    try {
        std::rethrow_exception(failure);
    } catch (const UserError&) {
        throw;
    } catch (const NoAnswer& error) {
        throw CoordinatorSilent(silence_text(kConnectLimit) + ": it took the connection that '" +
                                file.string() + "' names, and has said nothing since");
    } catch (const std::exception& error) {
        if (place.access) {
            throw UserError("no coordinator answers where '" + file.string() + "' says: " + error.what());
        }
        return std::nullopt;
    }
}

ClientReply Client::ask_any(const ClientRequest& request, const WhileWaiting& while_waiting) {
    ClientReply answer;
    bool answered = false;
    std::exception_ptr failure;
    channel_->send(request);
    asio::co_spawn(
        *io_,
        [&]() -> asio::awaitable<void> {
            answer = co_await channel_->read();
            answered = true;
        },
        [&](std::exception_ptr error) {
            failure = std::move(error);
            io_->stop();
        });
    io_->restart();
    const auto limit = std::holds_alternative<StatusRequest>(request) ? kStatusLimit : kAnswerLimit;
    const auto begun_at = std::chrono::steady_clock::now();
    while (!answered && !failure) {
        io_->run_for(kLook);
        const auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(
            std::chrono::steady_clock::now() - begun_at);
        if (!answered && !failure && (!while_waiting(waited) || waited > limit)) {
            channel_->close();
            io_->run();
            throw CoordinatorSilent(silence_text(waited));
        }
    }
    if (failure) {
        try {
            std::rethrow_exception(failure);
        } catch (const std::exception& error) {
            throw std::runtime_error(std::string("the coordinator is gone: ") + error.what());
        }
    }
    if (const auto* refused = std::get_if<Refused>(&answer)) {
        throw UserError(refused->reason);
    }
    return answer;
}

}  // namespace orchestrate
