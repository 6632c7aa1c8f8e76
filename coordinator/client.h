// A person's connection to a coordinator that runs: asks, and waits for the answer.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/io_context.hpp>

#include "common/connection.h"
#include "common/error.h"
#include "common/messages.h"

namespace orchestrate {

// Where a command finds the studies: a database here, or the access file of a coordinator on another host.
struct Place {
    std::filesystem::path database;
    std::optional<std::filesystem::path> access;
};

// Not thread-safe.
class Client {
  public:
    // Nothing if no coordinator has the database now. Throws UserError if its access file cannot be used, if it refuses
    // the connection, or if nobody answers where an access file was named.
    static std::optional<Client> reach(const Place& place);

    // Throws UserError for what the coordinator does not know, std::runtime_error if it is gone or does not answer.
    template <class Reply>
    Reply ask(const Message& request) {
        Message message = ask_message(request);
        if (auto* reply = std::get_if<Reply>(&message)) {
            return std::move(*reply);
        }
        throw std::runtime_error("the coordinator answered something else than was asked");
    }

    // As ask(), and throws UserError with what a reply says in `refused`.
    template <class Reply>
    Reply ask_or_throw(const Message& request) {
        Reply reply = ask<Reply>(request);
        if (!reply.refused.empty()) {
            throw UserError(reply.refused);
        }
        return reply;
    }

  private:
    Client() = default;
    Message ask_message(const Message& request);

    std::unique_ptr<boost::asio::io_context> io_ = std::make_unique<boost::asio::io_context>(1);
    std::shared_ptr<Connection> connection_;
};

}  // namespace orchestrate
