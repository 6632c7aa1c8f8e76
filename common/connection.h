// One framed, encrypted connection: reads and writes whole messages over TLS on Boost.Asio coroutines.
// All calls from the thread of its executor.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>

#include "common/access_file.h"
#include "common/messages.h"

namespace orchestrate {

class Connection : public std::enable_shared_from_this<Connection> {
  public:
    using Stream = boost::asio::ssl::stream<boost::asio::ip::tcp::socket>;

    // Takes a stream whose handshake is done.
    explicit Connection(Stream stream);

    // The next message. Throws boost::system::system_error when the connection ends, ProtocolError for
    // nonsense.
    boost::asio::awaitable<Message> read();

    // Queues a message; it is written in order. After close() it is dropped. A peer that does not read is cut
    // off when kMaximumQueuedBytes wait for it.
    void send(const Message& message);

    // Ends the connection after what is queued has been written.
    void finish();

    // Ends it now; a pending read() throws.
    void close();

    bool closed() const { return closed_; }
    std::string peer_address() const;

  private:
    static constexpr std::size_t kMaximumQueuedBytes = 512U << 20;
    boost::asio::awaitable<void> write_queue();

    Stream stream_;
    std::deque<std::vector<std::uint8_t>> queue_;
    std::size_t queued_bytes_ = 0;
    bool writing_ = false;
    bool finishing_ = false;
    bool closed_ = false;
};

// Connects to the coordinator that an access file names (its addresses in order, each within `timeout`),
// shakes hands and says hello. Returns the connection and what the coordinator answered; throws UserError if
// it refused, and std::runtime_error if it cannot be reached.
struct Connected {
    std::shared_ptr<Connection> connection;
    Welcome welcome;
};
boost::asio::awaitable<Connected> connect_to_coordinator(const Access& access, Hello hello,
                                                         std::chrono::milliseconds timeout);

}  // namespace orchestrate
