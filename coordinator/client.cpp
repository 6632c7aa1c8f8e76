#include "coordinator/client.h"

#include <iostream>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "common/access_file.h"
#include "common/host.h"
#include "coordinator/job_store.h"
#include "coordinator/server.h"

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
    const auto file = place.access.value_or(person_access_file(state_folder(place.database)));
    if (!place.access && !std::filesystem::exists(file)) {
        return std::nullopt;
    }
    const Access access = read_access_file(file);
    Client client;
    std::exception_ptr failure;
    asio::co_spawn(
        *client.io_,
        [&]() -> asio::awaitable<void> {
            Hello hello;
            hello.role = Role::person;
            hello.host = host_name();
            auto connected = co_await connect_to_coordinator(access, hello, kConnectLimit);
            client.connection_ = connected.connection;
        },
        [&](std::exception_ptr error) {
            failure = error;
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

Message Client::ask_message(const Message& request, const WhileWaiting& while_waiting) {
    Message answer;
    bool answered = false;
    std::exception_ptr failure;
    connection_->send(request);
    asio::co_spawn(
        *io_,
        [&]() -> asio::awaitable<void> {
            answer = co_await connection_->read();
            answered = true;
        },
        [&](std::exception_ptr error) {
            failure = error;
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
            connection_->close();
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
