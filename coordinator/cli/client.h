// A user's connection to a coordinator that runs: asks, and waits for the answer.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/io_context.hpp>

#include "common/base/error.h"
#include "common/protocol/channel.h"

namespace orchestrate {

// Where a command finds the studies: a database here, or the access file of a coordinator on another host.
struct Place {
    std::filesystem::path database;
    std::optional<std::filesystem::path> access;
};

// The coordinator lives, as far as can be seen, but does not answer.
class CoordinatorSilent : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// Called while an answer is waited for, several times a second, with how long it has been. False: wait no longer, which
// ends ask() with CoordinatorSilent.
using WhileWaiting = std::function<bool(std::chrono::milliseconds)>;

// "the coordinator does not answer (for 7 s)"
std::string silence_text(std::chrono::milliseconds waited);

// Says on standard error once that nothing is answered.
WhileWaiting say_silence_once();

// Not thread-safe.
class Client {
  public:
    // Nothing if no coordinator has the database now. One that has the database of which this one is a copy is not asked,
    // which is said on stderr. Throws CoordinatorSilent if there is one that does not answer; UserError if its access file
    // cannot be used, if it refuses the connection, or if nobody answers where an access file was named.
    static std::optional<Client> reach(const Place& place);

    // Throws UserError with what the coordinator says if it refuses the request, CoordinatorSilent if it does not answer
    // within 5 minutes, std::runtime_error if it is gone.
    template <class Reply>
    Reply ask(const ClientRequest& request, const WhileWaiting& while_waiting = say_silence_once()) {
        ClientReply reply = ask_any(request, while_waiting);
        if (auto* expected = std::get_if<Reply>(&reply)) {
            return std::move(*expected);
        }
        throw std::runtime_error("the coordinator answered something else than was asked");
    }

  private:
    Client() = default;
    // Never Refused.
    ClientReply ask_any(const ClientRequest& request, const WhileWaiting& while_waiting);

    std::unique_ptr<boost::asio::io_context> io_ = std::make_unique<boost::asio::io_context>(1);
    std::optional<ClientChannel> channel_;
};

}  // namespace orchestrate
