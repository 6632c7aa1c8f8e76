// Accepts connections: TLS handshake, hello, token and version checks, each within a time limit; then hands
// the connection to the coordinator. All on one thread.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>

#include "common/base/log.h"
#include "common/protocol/connection.h"
#include "common/protocol/database_place.h"
#include "coordinator/dispatch/rate_limit.h"

namespace orchestrate {

// How much patience there is with peers that have not said who they are, or do not read.
struct ConnectionLimits {
    std::chrono::milliseconds greeting{10000};                  // for handshake and hello together
    int half_open = 1024;                                       // so many at a time; more are dropped at once
    std::chrono::milliseconds stall = Connection::kStallLimit;  // who reads nothing for so long is cut off
};

// The database of a server's coordinator. An empty id: not known, and not compared.
struct ServedDatabase {
    std::string id;
    DatabasePlace place;
};

class Server {
  public:
    // Serves one connection whose hello was accepted; it answers with Welcome or Refused itself.
    using Handler = std::function<boost::asio::awaitable<void>(std::shared_ptr<Connection>, Hello)>;

    // Makes certificate, tokens and the two access files in `folder` (kept from an earlier run, and the port
    // too if it is free) and listens: on the loopback address, or on all of this host's addresses. The port
    // can also be fixed by a preferred one. What is there of another database, since the folder was copied, is replaced:
    // its workers must not take this coordinator for theirs. Throws UserError if it cannot listen, or if others can enter
    // the folder.
    Server(boost::asio::io_context& io, const std::filesystem::path& folder, bool all_addresses, Log log,
           Handler handler, ConnectionLimits limits = {}, ServedDatabase database = {});

    // Accepts until closed.
    boost::asio::awaitable<void> accept();
    void close();

    std::filesystem::path worker_access_file() const;

    const std::string& certificate_fingerprint() const { return certificate_fingerprint_; }

  private:
    boost::asio::awaitable<void> greet(boost::asio::ip::tcp::socket socket);
    void warn_of_stranger(const std::string& line);

    boost::asio::io_context& io_;
    std::filesystem::path folder_;
    ServedDatabase database_;
    Log log_;
    Handler handler_;
    std::string user_token_;
    std::string worker_token_;
    std::string certificate_fingerprint_;
    boost::asio::ssl::context tls_;
    boost::asio::ip::tcp::acceptor acceptor_;
    ConnectionLimits limits_;
    int half_open_ = 0;
    RateLimit stranger_lines_{100, 1};
};

// The access file of users' commands.
std::filesystem::path user_access_file(const std::filesystem::path& state_folder);

}  // namespace orchestrate
