#include "common/protocol/connection.h"

#include <algorithm>
#include <exception>
#include <functional>
#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "common/base/error.h"
#include "common/base/visit.h"
#include "common/protocol/channel.h"
#include "common/protocol/tls.h"

namespace orchestrate {
namespace {

namespace asio = boost::asio;
using asio::use_awaitable;
using asio::ip::tcp;

// Runs an operation; throws what it throws, or NoAnswer(`late`) once
// `timeout` has passed.
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
        throw NoAnswer(late);
    }
    if (std::get<0>(first)) {
        std::rethrow_exception(std::get<0>(first));
    }
}

constexpr std::size_t kPrefixBytes = 4;
constexpr std::size_t kSmallestInput = 4096;
constexpr std::size_t kLargestIdleInput = 65536;
constexpr std::size_t kLargestGatheredWrite = 65536;

// Throws UserError if the coordinator at that address has refused.
Welcome welcome_in(HelloReply answer, const std::string& address) {
    return match(
        std::move(answer), [](Welcome welcome) { return welcome; },
        [&](const Refused& refused) -> Welcome {
            throw UserError("the coordinator at " + address + " refused: " + refused.reason);
        });
}

}  // namespace

Connection::Connection(Stream stream, std::chrono::milliseconds stall_limit)
    : stream_(std::move(stream)), stall_timer_(stream_.get_executor()), stall_limit_(stall_limit) {}

asio::awaitable<std::span<const std::uint8_t>> Connection::read_body(BodyLimit limit) {
    while (true) {
        const std::size_t available = input_end_ - input_begin_;
        std::size_t wanted = kPrefixBytes;
        if (available >= kPrefixBytes) {
            const std::span<const std::uint8_t, kPrefixBytes> prefix(input_.data() + input_begin_,
                                                                     kPrefixBytes);
            const std::size_t size = body_size(prefix);
            const std::span received(input_.data() + input_begin_ + kPrefixBytes, available - kPrefixBytes);
            wanted += size;
            const bool whole = received.size() >= size;
            const auto type = peek_type(received.first(std::min(size, received.size())));
            if (type || whole) {
                body_size(prefix, limit(type.value_or("")));
            } else {
                wanted = std::min(wanted, kPrefixBytes + kPeekedBytes);
            }
            if (whole) {
                input_begin_ += kPrefixBytes + size;
                co_return received.first(size);
            }
        }
        make_space(wanted);
        input_end_ += co_await stream_.async_read_some(
            asio::buffer(input_.data() + input_end_, input_.size() - input_end_), use_awaitable);
    }
}

// Memory grows with what has come, not with what a prefix claims (the next frame
// has `wanted` bytes), and is given back after a large frame.
void Connection::make_space(std::size_t wanted) {
    const std::size_t available = input_end_ - input_begin_;
    if (available == 0 && input_.size() > kLargestIdleInput) {
        input_ = {};
    }
    if (input_begin_ > 0) {
        std::copy(input_.begin() + static_cast<std::ptrdiff_t>(input_begin_),
                  input_.begin() + static_cast<std::ptrdiff_t>(input_end_), input_.begin());
        input_begin_ = 0;
        input_end_ = available;
    }
    if (input_end_ == input_.size()) {
        const std::size_t doubled = std::max(kSmallestInput, 2 * input_.size());
        input_.resize(wanted > input_end_ ? std::min(doubled, std::max(wanted, kSmallestInput)) : doubled);
    }
}

bool Connection::replace_waiting(Queued& newer) {
    const auto older = std::find_if(queue_.rbegin(), queue_.rend(), [&](const Queued& waiting) {
        return waiting.replaceable_kind == newer.replaceable_kind;
    });
    if (older == queue_.rend()) {
        return false;
    }
    queued_bytes_ += newer.frame.size() - older->frame.size();
    *older = std::move(newer);
    return true;
}

void Connection::send_frame(std::vector<std::uint8_t> frame, const char* replaceable_kind) {
    if (closed_ || finishing_) {
        return;
    }
    Queued queued{std::move(frame), replaceable_kind};
    if (queued.replaceable_kind != nullptr && queued_bytes_ > kCrowdedBytes && replace_waiting(queued)) {
        return;
    }
    enqueue(std::move(queued));
}

void Connection::enqueue(Queued queued) {
    queued_bytes_ += queued.frame.size();
    queue_.push_back(std::move(queued));
    if (queued_bytes_ > max_queued_bytes_) {
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
    watch_for_stall();
    try {
        std::vector<std::uint8_t> bytes;  // several small frames in one write
        while (!queue_.empty() && !closed_) {
            bytes = std::move(queue_.front().frame);
            queue_.pop_front();
            while (!queue_.empty() && bytes.size() + queue_.front().frame.size() <= kLargestGatheredWrite) {
                bytes.insert(bytes.end(), queue_.front().frame.begin(), queue_.front().frame.end());
                queue_.pop_front();
            }
            for (std::size_t done = 0; done < bytes.size();) {
                const std::size_t count = co_await stream_.async_write_some(
                    asio::buffer(bytes.data() + done, bytes.size() - done), use_awaitable);
                done += count;
                queued_bytes_ -= count;
                written_bytes_ += count;
            }
        }
    } catch (const boost::system::system_error&) {
        close();
    }
    writing_ = false;
    if (finishing_) {
        close();
    }
}

// While something waits: whether anything was written since the last look.
void Connection::watch_for_stall() {
    if (std::exchange(watching_, true)) {
        return;
    }
    stall_timer_.expires_after(stall_limit_);
    stall_timer_.async_wait(
        [weak = weak_from_this(), written = written_bytes_](boost::system::error_code error) {
            const auto self = weak.lock();
            if (error || !self || self->closed_) {
                return;
            }
            self->watching_ = false;
            if (self->writing_ && self->written_bytes_ == written) {
                self->close();
            } else if (self->writing_) {
                self->watch_for_stall();
            }
        });
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
        stall_timer_.cancel();
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
    hello.database_id = access.database_id;
    std::string problems;
    bool silent = false;
    for (const auto& address : access.addresses) {
        std::string problem;
        bool reached = false;
        try {
            auto tls = make_client_tls(access.certificate_fingerprint);
            Connection::Stream stream(executor, tls);
            co_await within(timeout, "no answer", [&]() -> asio::awaitable<void> {
                const tcp::endpoint endpoint(asio::ip::make_address(address), access.port);
                co_await stream.next_layer().async_connect(endpoint, use_awaitable);
                reached = true;
                stream.next_layer().set_option(tcp::no_delay(true));
                stream.next_layer().set_option(asio::socket_base::keep_alive(true));
                co_await stream.async_handshake(asio::ssl::stream_base::client, use_awaitable);
            });
            auto connection = std::make_shared<Connection>(std::move(stream));
            send_message<HelloMessage>(*connection, hello);
            std::optional<HelloReply> answer;
            co_await within(timeout, "no answer to hello", [&]() -> asio::awaitable<void> {
                answer = co_await read_message<HelloReply>(*connection);
            });
            co_return Connected{connection, welcome_in(*std::move(answer), address)};
        } catch (const UserError&) {
            throw;
        } catch (const NoAnswer& error) {
            problem = error.what();
            silent = silent || reached;
        } catch (const std::exception& error) {
            problem = error.what();
        }
        problems += fmt::format("{}{}:{}: {}", problems.empty() ? "" : "; ", address, access.port, problem);
    }
    if (silent) {
        throw NoAnswer("the coordinator does not answer (" + problems + ")");
    }
    throw std::runtime_error("cannot reach the coordinator (" + problems + ")");
}

}  // namespace orchestrate
