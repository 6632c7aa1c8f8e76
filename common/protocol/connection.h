// One encrypted connection: reads and writes whole frames over TLS on Boost.Asio coroutines. What they mean is up to
// channel.h. All calls from the thread of its executor.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>

#include "common/protocol/access_file.h"
#include "common/protocol/connection_messages.h"
#include "common/protocol/message_codec.h"

namespace orchestrate {

class Connection : public std::enable_shared_from_this<Connection> {
  public:
    using Stream = boost::asio::ssl::stream<boost::asio::ip::tcp::socket>;

    // Takes a stream whose handshake is done.
    explicit Connection(Stream stream, std::chrono::milliseconds stall_limit = kStallLimit);

    // The body of the next frame, valid until the next call of a read function. `limit` is the maximum size for a type of
    // message; a frame that is over it is refused before memory is taken for it. Throws boost::system::system_error when the
    // connection ends, ProtocolError for a frame that is too large.
    using BodyLimit = std::size_t (*)(std::string_view type);
    boost::asio::awaitable<std::span<const std::uint8_t>> read_body(BodyLimit limit);

    // Queues a frame; those that are queued are written in order. After close() it is dropped. `replaceable_kind`: the type
    // of a message that says all that the one before it said (progress, heartbeats, status). While more than kCrowdedBytes
    // wait for a peer that reads slowly, such a message takes the place of the one of its type that waits; others are never
    // dropped. A peer that has read nothing for `stall_limit`, or for which kMaximumQueuedBytes wait, is cut off.
    void send_frame(std::vector<std::uint8_t> frame, const char* replaceable_kind = nullptr);

    static constexpr std::size_t kCrowdedBytes = 256U << 10;
    static constexpr std::size_t kMaximumQueuedBytes = kMaximumFrameBytes + (64U << 20);
    static constexpr std::size_t kMaximumQueuedForWorkers = 16U << 20;
    static constexpr std::chrono::seconds kStallLimit{60};

    std::size_t queued_bytes() const { return queued_bytes_; }

    // A peer for which more waits is cut off, instead of kMaximumQueuedBytes.
    void limit_queue(std::size_t bytes) { max_queued_bytes_ = bytes; }

    // Ends the connection after what is queued has been written.
    void finish();

    // Ends it now; a pending read() throws.
    void close();

    bool closed() const { return closed_; }
    std::string peer_address() const;

  private:
    struct Queued {
        std::vector<std::uint8_t> frame;
        const char* replaceable_kind = nullptr;  // by the next one of that kind
    };
    void enqueue(Queued queued);
    boost::asio::awaitable<void> write_queue();
    void watch_for_stall();
    bool replace_waiting(Queued& newer);
    void make_space(std::size_t wanted);

    Stream stream_;
    boost::asio::steady_timer stall_timer_;
    std::chrono::milliseconds stall_limit_;
    std::vector<std::uint8_t> input_;  // received, from input_begin_ to input_end_
    std::size_t input_begin_ = 0;
    std::size_t input_end_ = 0;
    std::deque<Queued> queue_;  // not being written yet
    std::size_t max_queued_bytes_ = kMaximumQueuedBytes;
    std::size_t queued_bytes_ = 0;  // those being written among them
    std::uint64_t written_bytes_ = 0;
    bool writing_ = false;
    bool watching_ = false;  // for a stall
    bool finishing_ = false;
    bool closed_ = false;
};

// Someone took the connection, and answers nothing: a process that is stopped, or busy for long.
class NoAnswer : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// Connects to the coordinator that an access file names (its addresses in
// order, each within `timeout`), shakes hands and says hello. Returns the
// connection and what the coordinator answered; throws UserError if it refused,
// NoAnswer if it can be reached but does not answer, and std::runtime_error if it cannot be reached.
struct Connected {
    std::shared_ptr<Connection> connection;
    Welcome welcome;
};
boost::asio::awaitable<Connected> connect_to_coordinator(const Access& access, Hello hello,
                                                         std::chrono::milliseconds timeout);

}  // namespace orchestrate
