// A connection that carries the messages of one protocol: reads one variant and writes another, so that neither side can send
// what the other does not handle.
#pragma once

#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include <boost/asio/awaitable.hpp>

#include "common/protocol/connection.h"
#include "common/protocol/message_codec.h"

namespace orchestrate {

// Queues a message on the connection: see Connection::send_frame(). For the handshake; after it, use a Channel. Not
// thread-safe.
template <MessageDirection Direction>
void send_message(Connection& connection, const Direction& message) {
    if (connection.closed()) {
        return;
    }
    const char* const replaceable_kind = std::visit(
        [](const auto& content) -> const char* {
            using Content = std::remove_cvref_t<decltype(content)>;
            return requires {
                Content::kNextReplacesIt;
            }
            ? Content::kType : nullptr;
        },
        message);
    connection.send_frame(encode_frame(message), replaceable_kind);
}

// The next message: see decode_body() and Connection::read_body() for what is thrown.
template <MessageDirection Direction>
boost::asio::awaitable<Direction> read_message(Connection& connection) {
    const auto body = co_await connection.read_body(&max_body_bytes<Direction>);
    co_return decode_body<Direction>(body);
}

// A value: copies share the connection. All calls on the thread of the connection's executor.
template <MessageDirection Incoming, MessageDirection Outgoing>
class Channel {
  public:
    explicit Channel(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}

    boost::asio::awaitable<Incoming> read() const { return read_message<Incoming>(*connection_); }
    void send(const Outgoing& message) const { send_message<Outgoing>(*connection_, message); }
    // A message that is encoded already.
    void send_frame(std::vector<std::uint8_t> frame) const { connection_->send_frame(std::move(frame)); }

    void limit_queue(std::size_t bytes) const { connection_->limit_queue(bytes); }
    void finish() const { connection_->finish(); }
    void close() const { connection_->close(); }
    bool closed() const { return connection_->closed(); }
    std::string peer_address() const { return connection_->peer_address(); }

  private:
    std::shared_ptr<Connection> connection_;
};

// The ends of those who connect.
using WorkerChannel = Channel<CoordinatorToWorker, WorkerToCoordinator>;
using PilotChannel = Channel<CoordinatorToPilot, PilotToCoordinator>;
using ClientChannel = Channel<ClientReply, ClientRequest>;

// The coordinator's ends.
using ChannelToWorker = Channel<WorkerToCoordinator, CoordinatorToWorker>;
using ChannelToPilot = Channel<PilotToCoordinator, CoordinatorToPilot>;
using ChannelToClient = Channel<ClientRequest, ClientReply>;

}  // namespace orchestrate
