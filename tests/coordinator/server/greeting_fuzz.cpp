// For libFuzzer: whatever a stranger sends to a real server over loopback, as plain bytes or within TLS, it is greeted,
// refused or cut off, and the server serves the next one. The first byte of the input says which: even, plain bytes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <spdlog/sinks/null_sink.h>
#include <unistd.h>

#include "common/base/temporary_folder.h"
#include "common/protocol/channel.h"
#include "common/protocol/tls.h"
#include "coordinator/server/server.h"

namespace {

using namespace orchestrate;
namespace asio = boost::asio;
using asio::use_awaitable;
using asio::ip::tcp;

class Stage {
  public:
    Stage() : log_("null", std::make_shared<spdlog::sinks::null_sink_mt>()) {
        server_.emplace(
            io_, folder_.path(), false, std::make_shared<spdlog::logger>(log_),
            [this](std::shared_ptr<Connection> connection, Hello) -> asio::awaitable<void> {
                ++greeted_;
                send_message<HelloReply>(*connection, Welcome{});
                co_return;
            },
            ConnectionLimits{std::chrono::milliseconds(200), 1024});
        asio::co_spawn(io_, server_->accept(), asio::detached);
        access_ = read_access_file(server_->worker_access_file());
        greet();
    }

    void send(std::span<const std::uint8_t> bytes, bool within_tls) {
        run([&]() -> asio::awaitable<void> {
            auto context = make_client_tls(access_.certificate_fingerprint);
            Connection::Stream stream(io_, context);
            co_await stream.next_layer().async_connect({asio::ip::make_address("127.0.0.1"), access_.port},
                                                       use_awaitable);
            std::array<char, 4096> answer{};
            if (within_tls) {
                co_await stream.async_handshake(asio::ssl::stream_base::client, use_awaitable);
                co_await asio::async_write(stream, asio::buffer(bytes.data(), bytes.size()), use_awaitable);
                stream.next_layer().shutdown(tcp::socket::shutdown_send);
                while (true) {
                    co_await stream.async_read_some(asio::buffer(answer), use_awaitable);
                }
            }
            co_await asio::async_write(stream.next_layer(), asio::buffer(bytes.data(), bytes.size()),
                                       use_awaitable);
            stream.next_layer().shutdown(tcp::socket::shutdown_send);
            while (true) {
                co_await stream.next_layer().async_read_some(asio::buffer(answer), use_awaitable);
            }
        });
    }

    // A peer with the right token is greeted, whoever came before.
    void greet() {
        const int before = greeted_;
        run([&]() -> asio::awaitable<void> {
            Hello hello;
            hello.role = Role::worker;
            hello.name = "by-hand-1";
            const auto connected = co_await connect_to_coordinator(access_, hello, std::chrono::seconds(5));
            connected.connection->close();
        });
        if (greeted_ != before + 1) {
            std::abort();
        }
    }

  private:
    template <class Work>
    void run(Work work) {
        bool done = false;
        asio::co_spawn(io_, work, [&](std::exception_ptr) {
            done = true;
            io_.stop();
        });
        io_.restart();
        io_.run_for(std::chrono::seconds(8));
        if (!done) {
            std::abort();  // nobody ended the connection
        }
    }

    TemporaryFolder folder_;
    spdlog::logger log_;
    asio::io_context io_;
    std::optional<Server> server_;
    Access access_;
    int greeted_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    static Stage stage;
    static int inputs = 0;
    if (size > 0) {
        stage.send({bytes + 1, size - 1}, bytes[0] % 2 == 1);
    }
    if (++inputs % 100 == 0) {
        stage.greet();
    }
    return 0;
}
