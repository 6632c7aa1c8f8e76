#include "coordinator/client.h"

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
constexpr auto kAnswerLimit = 300s;

}  // namespace

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
    } catch (const std::exception& error) {
        if (place.access) {
            throw UserError("no coordinator answers where '" + file.string() + "' says: " + error.what());
        }
        return std::nullopt;
    }
}

Message Client::ask_message(const Message& request) {
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
    io_->run_for(kAnswerLimit);
    if (!answered && !failure) {
        connection_->close();
        io_->run();
        throw std::runtime_error("the coordinator does not answer");
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
