#include "common/connection.h"

#include <exception>
#include <functional>
#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "common/error.h"
#include "common/tls.h"

namespace orchestrate {
namespace {

namespace asio = boost::asio;
using asio::use_awaitable;
using asio::ip::tcp;

// Runs an operation; throws what it throws, or std::runtime_error(`late`) once `timeout` has passed.
asio::awaitable<void> within(std::chrono::milliseconds timeout, const char* late,
                             std::function<asio::awaitable<void>()> operation) {
    using namespace asio::experimental::awaitable_operators;
    asio::steady_timer timer(co_await asio::this_coro::executor, timeout);
    // An exception must end the race at once; operator|| waits for a success.
    const auto guarded = [&]() -> asio::awaitable<std::exception_ptr> {
        try {
            co_await operation();
        } catch (...) {
            co_return std::current_exception();
        }
        co_return nullptr;
    };
    const auto first = co_await (guarded() || timer.async_wait(use_awaitable));
    if (first.index() == 1) {
        throw std::runtime_error(late);
    }
    if (std::get<0>(first)) {
        std::rethrow_exception(std::get<0>(first));
    }
}

}  // namespace

Connection::Connection(Stream stream) : stream_(std::move(stream)) {}

asio::awaitable<Message> Connection::read() {
    std::array<std::uint8_t, 4> prefix{};
    co_await asio::async_read(stream_, asio::buffer(prefix), use_awaitable);
    std::size_t size = 0;
    for (const std::uint8_t byte : prefix) {
        size = size << 8 | byte;
    }
    if (size > kMaximumFrameBytes) {
        throw ProtocolError("a frame of " + std::to_string(size) + " bytes is over the limit");
    }
    std::vector<std::uint8_t> body(size);
    co_await asio::async_read(stream_, asio::buffer(body), use_awaitable);
    co_return decode_body(body);
}

void Connection::send(const Message& message) {
    if (closed_ || finishing_) {
        return;
    }
    queue_.push_back(encode_frame(message));
    queued_bytes_ += queue_.back().size();
    if (queued_bytes_ > kMaximumQueuedBytes) {
        close();
        return;
    }
    if (!writing_) {
        writing_ = true;
        asio::co_spawn(
            stream_.get_executor(), [self = shared_from_this()] { return self->write_queue(); },
            asio::detached);
    }
}

asio::awaitable<void> Connection::write_queue() {
    const auto self = shared_from_this();
    try {
        while (!queue_.empty() && !closed_) {
            co_await asio::async_write(stream_, asio::buffer(queue_.front()), use_awaitable);
            queued_bytes_ -= queue_.front().size();
            queue_.pop_front();
        }
    } catch (const boost::system::system_error&) {
        close();
    }
    writing_ = false;
    if (finishing_) {
        close();
    }
}

void Connection::finish() {
    finishing_ = true;
    if (!writing_) {
        close();
    }
}

void Connection::close() {
    if (!closed_) {
        closed_ = true;
        boost::system::error_code ignored;
        stream_.next_layer().shutdown(tcp::socket::shutdown_both, ignored);
        stream_.next_layer().close(ignored);
    }
}

std::string Connection::peer_address() const {
    boost::system::error_code error;
    const auto endpoint = stream_.next_layer().remote_endpoint(error);
    return error ? "unknown" : endpoint.address().to_string();
}

asio::awaitable<Connected> connect_to_coordinator(const Access& access, Hello hello,
                                                  std::chrono::milliseconds timeout) {
    const auto executor = co_await asio::this_coro::executor;
    hello.token = access.token;
    std::string problems;
    for (const auto& address : access.addresses) {
        std::string problem;
        try {
            auto tls = make_client_tls(access.certificate_fingerprint);
            Connection::Stream stream(executor, tls);
            co_await within(timeout, "no answer", [&]() -> asio::awaitable<void> {
                const tcp::endpoint endpoint(asio::ip::make_address(address), access.port);
                co_await stream.next_layer().async_connect(endpoint, use_awaitable);
                stream.next_layer().set_option(tcp::no_delay(true));
                stream.next_layer().set_option(asio::socket_base::keep_alive(true));
                co_await stream.async_handshake(asio::ssl::stream_base::client, use_awaitable);
            });
            auto connection = std::make_shared<Connection>(std::move(stream));
            connection->send(hello);
            std::optional<Message> answer;
            co_await within(timeout, "no answer to hello",
                            [&]() -> asio::awaitable<void> { answer = co_await connection->read(); });
            if (const auto* refused = std::get_if<Refused>(&*answer)) {
                throw UserError("the coordinator at " + address + " refused: " + refused->reason);
            }
            if (const auto* welcome = std::get_if<Welcome>(&*answer)) {
                co_return Connected{connection, *welcome};
            }
            throw std::runtime_error("unexpected first message");
        } catch (const UserError&) {
            throw;
        } catch (const std::exception& error) {
            problem = error.what();
        }
        problems +=
            (problems.empty() ? "" : "; ") + address + ":" + std::to_string(access.port) + ": " + problem;
    }
    throw std::runtime_error("cannot reach the coordinator (" + problems + ")");
}

}  // namespace orchestrate
