#include "coordinator/server/server.h"

#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>
#include <sys/resource.h>

#include "common/base/error.h"
#include "common/base/host.h"
#include "common/protocol/channel.h"
#include "common/protocol/message_checks.h"
#include "common/protocol/tls.h"

namespace orchestrate {
namespace {

namespace asio = boost::asio;
using asio::use_awaitable;
using asio::ip::tcp;

constexpr const char* kUserAccess = "access.json";
constexpr const char* kWorkerAccess = "worker-access.json";

// Thousands of workers need as many open files; the usual soft limit is 1,024.
void allow_many_open_files() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

std::optional<Access> earlier_access(const std::filesystem::path& path) {
    try {
        return read_access_file(path);
    } catch (const UserError&) {
        return std::nullopt;
    }
}

// Removes tokens and certificate that were made for another database.
void forget_other_database(const std::filesystem::path& folder, const std::string& database_id) {
    const auto earlier = earlier_access(folder / kWorkerAccess);
    if (!earlier || earlier->database_id.empty() || database_id.empty() ||
        earlier->database_id == database_id) {
        return;
    }
    for (const char* name : {kUserAccess, kWorkerAccess, "certificate.pem", "key.pem"}) {
        std::filesystem::remove(folder / name);
    }
}

std::string certificate_for(const std::filesystem::path& folder, const std::string& database_id) {
    check_private_folder(folder);
    forget_other_database(folder, database_id);
    return ensure_certificate(folder);
}

tcp::acceptor listen(asio::io_context& io, const asio::ip::address& address, std::uint16_t preferred_port) {
    for (const std::uint16_t port : {preferred_port, std::uint16_t{0}}) {
        try {
            return {io, tcp::endpoint(address, port)};
        } catch (const boost::system::system_error& error) {
            if (port == 0) {
                throw UserError("cannot listen on " + address.to_string() + ": " + error.what());
            }
        }
    }
    throw UserError("cannot listen on " + address.to_string());
}

}  // namespace

std::filesystem::path user_access_file(const std::filesystem::path& folder) {
    return folder / kUserAccess;
}

std::filesystem::path Server::worker_access_file() const {
    return folder_ / kWorkerAccess;
}

Server::Server(asio::io_context& io, const std::filesystem::path& folder, bool all_addresses, Log log,
               Handler handler, ConnectionLimits limits, ServedDatabase database)
    : io_(io),
      folder_(folder),
      database_(std::move(database)),
      log_(std::move(log)),
      handler_(std::move(handler)),
      certificate_fingerprint_(certificate_for(folder, database_.id)),
      tls_(make_server_tls(folder)),
      acceptor_(io),
      limits_(limits) {
    allow_many_open_files();
    const auto user = earlier_access(user_access_file(folder));
    const auto worker = earlier_access(worker_access_file());
    user_token_ = user ? user->token : random_token();
    worker_token_ = worker ? worker->token : random_token();
    const auto address =
        all_addresses ? asio::ip::make_address("0.0.0.0") : asio::ip::make_address("127.0.0.1");
    // The port of the last time, so that workers which outlived it find the way
    // back.
    acceptor_ = listen(io, address, worker ? worker->port : std::uint16_t{0});
    Access access;
    access.addresses = all_addresses ? host_addresses() : std::vector<std::string>{"127.0.0.1"};
    access.port = acceptor_.local_endpoint().port();
    access.certificate_fingerprint = certificate_fingerprint_;
    access.token = user_token_;
    access.database_id = database_.id;
    access.database = database_.place;
    write_access_file(user_access_file(folder), access);
    access.token = worker_token_;
    write_access_file(worker_access_file(), access);
}

asio::awaitable<void> Server::accept() {
    while (acceptor_.is_open()) {
        try {
            tcp::socket socket = co_await acceptor_.async_accept(use_awaitable);
            if (half_open_ >= limits_.half_open) {
                warn_of_stranger("dropped a connection: " + std::to_string(half_open_) +
                                 " others have not said hello yet");
                continue;
            }
            asio::co_spawn(io_, greet(std::move(socket)), asio::detached);
        } catch (const boost::system::system_error& error) {
            if (acceptor_.is_open()) {
                log_->warn("cannot accept a connection: {}", error.what());
            }
        }
    }
}

// Whoever can reach the port can cause such lines.
void Server::warn_of_stranger(const std::string& line) {
    if (stranger_lines_.take(std::chrono::steady_clock::now())) {
        log_->warn(line);
    }
}

void Server::close() {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
}

asio::awaitable<void> Server::greet(tcp::socket socket) {
    auto stream = std::make_shared<Connection::Stream>(std::move(socket), tls_);
    auto connection = std::make_shared<std::shared_ptr<Connection>>();
    std::string peer = "unknown";
    ++half_open_;
    // Closing the socket ends whatever the greeting waits for.
    asio::steady_timer limit(io_, limits_.greeting);
    limit.async_wait([stream, connection](boost::system::error_code error) {
        if (error) {
            return;  // greeted in time
        }
        if (*connection) {
            (*connection)->close();
        } else {
            boost::system::error_code ignored;
            stream->next_layer().close(ignored);
        }
    });
    std::optional<Hello> hello;
    try {
        peer = stream->next_layer().remote_endpoint().address().to_string();
        stream->next_layer().set_option(tcp::no_delay(true));
        co_await stream->async_handshake(asio::ssl::stream_base::server, use_awaitable);
        *connection = std::make_shared<Connection>(std::move(*stream), limits_.stall);
        const auto first = co_await read_message<HelloMessage>(**connection);
        hello = std::get<Hello>(first);
    } catch (const InvalidMessage& error) {
        warn_of_stranger("refused a connection from " + peer + ": " + error.what());
        send_message<HelloReply>(**connection, Refused{"its hello is refused: " + error.refusal().text()});
        (*connection)->finish();
    } catch (const std::exception& error) {
        warn_of_stranger("a connection from " + peer +
                         " failed before its hello: " + cleaned(error.what(), kMaxLineBytes, Lines::one));
    }
    limit.cancel();
    --half_open_;
    if (!*connection || !hello) {
        co_return;
    }
    const std::string& expected = hello->role == Role::user ? user_token_ : worker_token_;
    if (!tokens_equal(hello->token, expected)) {
        warn_of_stranger("refused a connection from " + peer + ": wrong token for role " +
                         to_string(hello->role));
        send_message<HelloReply>(**connection,
                                 Refused{"the token is wrong for this database; read the access file again"});
        (*connection)->finish();
        co_return;
    }
    if (!hello->database_id.empty() && !database_.id.empty() && hello->database_id != database_.id) {
        log_->warn("refused a connection from {}: it looks for another database", peer);
        send_message<HelloReply>(
            **connection,
            Refused{"this is the coordinator of the database '" + database_.place.path +
                    "', which is not the one that the access file was written for; read the access file "
                    "again"});
        (*connection)->finish();
        co_return;
    }
    if (hello->protocol_version != kProtocolVersion) {
        const std::string version = cleaned(hello->program_version, kMaxNameBytes, Lines::one);
        log_->warn("refused {} {} of {}: it speaks protocol version {}", to_string(hello->role),
                   cleaned(hello->name, kMaxNameBytes, Lines::one), peer, hello->protocol_version);
        send_message<HelloReply>(
            **connection,
            Refused{fmt::format(
                "protocol version {} (orchestrate {}) is not understood here, only version {}; use "
                "the coordinator's release on both sides",
                hello->protocol_version, version, kProtocolVersion)});
        (*connection)->finish();
        co_return;
    }
    try {
        co_await handler_(*connection, *std::move(hello));
    } catch (const std::exception& error) {
        log_->error("a connection from {} ended: {}", peer, error.what());
    }
    (*connection)->finish();
}

}  // namespace orchestrate
