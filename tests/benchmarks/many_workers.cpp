// Connects many workers that idle to a living coordinator, each over TLS of its own with its heartbeats, and stays until it
// is told to end (standard input closes). Usage: many_workers ACCESS_FILE COUNT; says "connected N" when all are there.
#include <cstdio>
#include <iostream>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/host.h"
#include "common/protocol/channel.h"

namespace {

using namespace orchestrate;
using namespace std::chrono_literals;
namespace asio = boost::asio;

struct Crowd {
    asio::io_context io{1};
    Access access;
    int wanted = 0;
    int next = 0;
    int connected = 0;
    int lost = 0;
};

asio::awaitable<void> beat(Crowd& crowd, WorkerChannel channel, std::chrono::milliseconds interval,
                           int number) {
    asio::steady_timer timer(crowd.io, interval * (number % 100) / 100);  // not all at once
    while (true) {
        co_await timer.async_wait(asio::use_awaitable);
        channel.send(Heartbeat{});
        timer.expires_after(interval);
    }
}

asio::awaitable<void> listen(WorkerChannel channel) {
    while (true) {
        co_await channel.read();
    }
}

asio::awaitable<void> stay(Crowd& crowd, Connected connected, int number) {
    using namespace asio::experimental::awaitable_operators;
    const WorkerChannel channel(connected.connection);
    try {
        co_await (beat(crowd, channel,
                       std::chrono::milliseconds(connected.welcome.heartbeat_interval_milliseconds),
                       number) ||
                  listen(channel));
    } catch (const std::exception& error) {
        if (++crowd.lost <= 3) {
            std::fprintf(stderr, "worker %d: %s\n", number, error.what());
        }
    }
}

asio::awaitable<void> connect_one_after_the_other(Crowd& crowd) {
    while (crowd.next < crowd.wanted) {
        const int number = ++crowd.next;
        Hello hello;
        hello.role = Role::worker;
        hello.name = "crowd-" + std::to_string(number);
        hello.host = host_name();
        hello.process_id = getpid();
        hello.device = "cpu";
        auto connected = co_await connect_to_coordinator(crowd.access, hello, 60s);
        asio::co_spawn(crowd.io, stay(crowd, std::move(connected), number), asio::detached);
        if (++crowd.connected == crowd.wanted) {
            std::cout << "connected " << crowd.connected << std::endl;
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: many_workers ACCESS_FILE COUNT\n");
        return 2;
    }
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    Crowd crowd;
    crowd.access = read_access_file(argv[1]);
    crowd.wanted = std::stoi(argv[2]);
    for (int i = 0; i < 64; ++i) {
        asio::co_spawn(crowd.io, connect_one_after_the_other(crowd), [](const std::exception_ptr& failure) {
            if (failure) {
                std::rethrow_exception(failure);
            }
        });
    }
    asio::posix::stream_descriptor input(crowd.io, dup(STDIN_FILENO));
    char byte = 0;
    input.async_read_some(asio::buffer(&byte, 1),
                          [&](boost::system::error_code, std::size_t) { crowd.io.stop(); });
    crowd.io.run();
    std::cout << "lost " << crowd.lost << std::endl;
    return 0;
}
