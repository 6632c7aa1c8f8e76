#include "coordinator/server/server.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/null_sink.h>
#include <sys/stat.h>

#include "common/base/error.h"
#include "common/base/temporary_folder.h"
#include "common/protocol/channel.h"
#include "coordinator/database/database_lock.h"

namespace orchestrate {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;

// The server of these tests returns what it receives.
using EchoChannel = Channel<WorkerToCoordinator, WorkerToCoordinator>;

class ServerTest : public testing::Test {
  protected:
    ServerTest() { start(); }

    void start(const ConnectionLimits& limits = {}, const ServedDatabase& database = {}) {
        const auto log =
            std::make_shared<spdlog::logger>("null", std::make_shared<spdlog::sinks::null_sink_mt>());
        server_.emplace(
            io_, folder_, false, log,
            [this](std::shared_ptr<Connection> connection, Hello hello) -> asio::awaitable<void> {
                greeted_.push_back(to_string(hello.role));
                send_message<HelloReply>(*connection, Welcome{});
                if (after_welcome_) {
                    after_welcome_(*connection);
                }
                const EchoChannel channel(connection);
                try {
                    while (true) {
                        const WorkerToCoordinator message = co_await channel.read();
                        channel.send(message);
                    }
                } catch (const boost::system::system_error&) {
                    co_return;
                }
            },
            limits, database);
        asio::co_spawn(io_, server_->accept(), asio::detached);
    }

    void restart_for(const ServedDatabase& database) {
        server_->close();
        io_.restart();
        io_.poll();
        start({}, database);
    }

    // Connects with an access, sends one message and returns what comes back; throws what the client throws.
    WorkerToCoordinator talk(const Access& access, Hello hello, const WorkerToCoordinator& message) {
        WorkerToCoordinator answer;
        std::exception_ptr failure;
        asio::co_spawn(
            io_,
            [&]() -> asio::awaitable<void> {
                const auto connected = co_await connect_to_coordinator(access, hello, 5s);
                const EchoChannel channel(connected.connection);
                channel.send(message);
                answer = co_await channel.read();
                channel.close();
            },
            [&](std::exception_ptr error) {
                failure = std::move(error);
                io_.stop();
            });
        io_.restart();
        io_.run();
        if (failure) {
            std::rethrow_exception(failure);
        }
        return answer;
    }

    std::string refusal(const Access& access, const Hello& hello) {
        try {
            talk(access, hello, Heartbeat{});
        } catch (const std::exception& error) {
            return error.what();
        }
        return "accepted";
    }

    Access user() const { return read_access_file(user_access_file(folder_)); }
    Access worker() const { return read_access_file(server_->worker_access_file()); }

    static Hello hello_as(Role role) {
        Hello hello;
        hello.role = role;
        hello.name = role == Role::user ? "" : "by-hand-1";
        hello.slots = 1;
        return hello;
    }

    TemporaryFolder temporary_;
    const std::filesystem::path folder_ = temporary_.path();
    asio::io_context io_;
    std::optional<Server> server_;
    std::vector<std::string> greeted_;
    std::function<void(Connection&)> after_welcome_;
};

TEST_F(ServerTest, CarriesMessagesBothWays) {
    AttemptEnded large{{JobId(1), 1}, Cause::preempted, std::string(3'000'000, 'x'), {}};
    const auto answer = talk(worker(), hello_as(Role::worker), large);
    EXPECT_EQ(std::get<AttemptEnded>(answer).message, large.message);
    EXPECT_EQ(greeted_, std::vector<std::string>{"worker"});
}

TEST_F(ServerTest, ASlowReaderLosesOnlyWhatALaterReportReplaces) {
    constexpr int kReports = 20'000;
    std::size_t max_queued = 0;
    after_welcome_ = [&](Connection& connection) {  // nothing is written meanwhile
        for (int i = 1; i <= kReports; ++i) {
            AttemptProgress report{{JobId(1), 1}, {}};
            report.progress.step = i;
            send_message<WorkerToCoordinator>(connection, report);
            if (i % 5000 == 0) {
                send_message<WorkerToCoordinator>(connection,
                                                  AttemptEnded{{JobId(i), 1}, Cause::preempted, "", {}});
            }
            max_queued = std::max(max_queued, connection.queued_bytes());
        }
    };
    std::int64_t reports = 0;
    std::int64_t newest = 0;
    std::vector<std::int64_t> ended;
    asio::co_spawn(
        io_,
        [&]() -> asio::awaitable<void> {
            const auto connected = co_await connect_to_coordinator(worker(), hello_as(Role::worker), 5s);
            const EchoChannel channel(connected.connection);
            while (ended.size() < 4 || newest < kReports) {
                const WorkerToCoordinator message = co_await channel.read();
                if (const auto* report = std::get_if<AttemptProgress>(&message)) {
                    ++reports;
                    newest = std::max(newest, report->progress.step);
                } else if (const auto* end = std::get_if<AttemptEnded>(&message)) {
                    ended.push_back(end->attempt.job.value());
                }
            }
            connected.connection->close();
        },
        [&](const std::exception_ptr&) { io_.stop(); });
    io_.run();
    EXPECT_EQ(ended, (std::vector<std::int64_t>{5000, 10'000, 15'000, 20'000}));
    EXPECT_EQ(newest, kReports);
    EXPECT_LT(reports, kReports / 2);
    EXPECT_LT(max_queued, Connection::kCrowdedBytes + 4096);
}

TEST_F(ServerTest, WhoStopsReadingIsCutOff) {
    server_.reset();
    ConnectionLimits limits;
    limits.stall = 200ms;
    start(limits);
    std::shared_ptr<Connection> served;
    after_welcome_ = [&](Connection& connection) {
        served = connection.shared_from_this();
        std::string more_than_sockets_hold;
        more_than_sockets_hold.resize(30'000'000, 'x');
        const AttemptEnded large{{JobId(1), 1}, Cause::preempted, more_than_sockets_hold, {}};
        send_message<WorkerToCoordinator>(connection, large);
    };
    asio::co_spawn(
        io_,
        [&]() -> asio::awaitable<void> {
            const auto connected = co_await connect_to_coordinator(worker(), hello_as(Role::worker), 5s);
            asio::steady_timer look(io_);
            const auto limit = std::chrono::steady_clock::now() + 20s;
            while (!(served && served->closed()) && std::chrono::steady_clock::now() < limit) {
                look.expires_after(10ms);
                co_await look.async_wait(asio::use_awaitable);
            }
            EXPECT_TRUE(served && served->closed());
            connected.connection->close();
        },
        [&](const std::exception_ptr&) { io_.stop(); });
    io_.run();
    EXPECT_GT(served->queued_bytes(), 0U);
}

TEST_F(ServerTest, AStrangersFirstMessageMayNotBeLarge) {
    Hello hello = hello_as(Role::worker);
    hello.name = std::string(100'000, 'x');
    EXPECT_NE(refusal(worker(), hello), "accepted");
    EXPECT_TRUE(greeted_.empty());
}

TEST_F(ServerTest, TokensOpenOnlyTheirOwnRole) {
    EXPECT_THAT(refusal(worker(), hello_as(Role::user)), HasSubstr("token"));
    EXPECT_THAT(refusal(user(), hello_as(Role::worker)), HasSubstr("token"));
    EXPECT_THAT(refusal(user(), hello_as(Role::pilot)), HasSubstr("token"));
    EXPECT_EQ(refusal(user(), hello_as(Role::user)), "accepted");
    EXPECT_EQ(greeted_, std::vector<std::string>{"user"});
}

TEST_F(ServerTest, AnotherCertificateIsNotTrusted) {
    Access access = worker();
    access.certificate_fingerprint = std::string(64, '0');
    EXPECT_THAT(refusal(access, hello_as(Role::worker)), HasSubstr("cannot reach"));
    EXPECT_TRUE(greeted_.empty());
}

TEST_F(ServerTest, AnotherProtocolVersionIsToldSoInWords) {
    for (const int version : {0, kProtocolVersion - 1, kProtocolVersion + 1}) {
        Hello hello = hello_as(Role::worker);
        hello.protocol_version = version;
        hello.program_version = "0.0.9";
        hello.name = "../what such a peer may be called";  // is not looked at
        EXPECT_THAT(refusal(worker(), hello),
                    AllOf(HasSubstr("protocol version " + std::to_string(version) +
                                    " (orchestrate 0.0.9) is not understood here, only version " +
                                    std::to_string(kProtocolVersion)),
                          HasSubstr("use the coordinator's release on both sides")));
    }
    EXPECT_TRUE(greeted_.empty());
}

TEST_F(ServerTest, AHelloThatIsNotValidIsRefusedInWords) {
    Hello hello = hello_as(Role::worker);
    hello.ranks = -100;
    EXPECT_THAT(refusal(worker(), hello),
                HasSubstr("its hello is refused: ranks is -100, expected 1 to 65536"));
    hello = hello_as(Role::worker);
    hello.name = "../local-1";
    EXPECT_THAT(refusal(worker(), hello), HasSubstr("its hello is refused: name '../local-1' is not a name"));
    hello = hello_as(Role::pilot);
    hello.slots = 0;
    EXPECT_THAT(refusal(worker(), hello), HasSubstr("its hello is refused: slots is 0"));
    EXPECT_TRUE(greeted_.empty());
}

// A connection from a test's worker, which sends bytes of its own.
TEST_F(ServerTest, WhatIsNotOfTheDirectionIsRefusedAndTheNextMessageRead) {
    std::vector<std::string> refused;
    asio::co_spawn(
        io_,
        [&]() -> asio::awaitable<void> {
            const auto connected = co_await connect_to_coordinator(worker(), hello_as(Role::worker), 5s);
            // Sent back by the server as it is, and read here as what a worker would read.
            send_message<WorkerToCoordinator>(*connected.connection, Goodbye{"not for a worker"});
            send_message<WorkerToCoordinator>(*connected.connection, Heartbeat{3, 4});
            const WorkerChannel channel(connected.connection);
            try {
                co_await channel.read();
            } catch (const UnexpectedMessage& error) {
                refused.push_back(error.type());
            }
            const CoordinatorToWorker next = co_await channel.read();
            EXPECT_EQ(std::get<Heartbeat>(next).step, 3);
            channel.close();
        },
        [&](const std::exception_ptr& error) {
            EXPECT_FALSE(error);
            io_.stop();
        });
    io_.run();
    EXPECT_EQ(refused, std::vector<std::string>{"goodbye"});
}

TEST_F(ServerTest, ATokenMustBeWhole) {
    for (const std::string& token : {std::string(), worker().token.substr(1), worker().token + "0"}) {
        Access access = worker();
        access.token = token;
        EXPECT_THAT(refusal(access, hello_as(Role::worker)), HasSubstr("token")) << token.size();
    }
    EXPECT_TRUE(greeted_.empty());
}

// What comes before a hello is short: a large announcement is refused before anything is allocated.
TEST_F(ServerTest, AHelloOfManyBytesIsRefused) {
    Hello hello = hello_as(Role::worker);
    hello.name = std::string(kMaximumHelloBytes, 'x');
    EXPECT_THAT(refusal(worker(), hello), HasSubstr("cannot reach"));
    EXPECT_TRUE(greeted_.empty());
}

// Connects and says nothing, so many times. Returns how many the server closes within 8 s, and after what time.
struct Silence {
    int closed = 0;
    std::chrono::milliseconds took{0};
};
Silence stay_silent(asio::io_context& io, std::uint16_t port, int connections) {
    Silence silence;
    std::vector<std::unique_ptr<asio::ip::tcp::socket>> sockets;
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < connections; ++i) {
        auto& socket = *sockets.emplace_back(std::make_unique<asio::ip::tcp::socket>(io));
        asio::co_spawn(
            io,
            [&]() -> asio::awaitable<void> {
                co_await socket.async_connect({asio::ip::make_address("127.0.0.1"), port},
                                              asio::use_awaitable);
                char byte = 0;
                boost::system::error_code ended;
                while (!ended) {
                    try {
                        co_await socket.async_read_some(asio::buffer(&byte, 1), asio::use_awaitable);
                    } catch (const boost::system::system_error& error) {
                        ended = error.code();
                    }
                }
            },
            [&](const std::exception_ptr&) {
                silence.took = std::chrono::duration_cast<std::chrono::milliseconds>(
                    std::chrono::steady_clock::now() - begin);
                if (++silence.closed == connections) {
                    io.stop();
                }
            });
    }
    io.restart();
    io.run_for(8s);
    return silence;
}

TEST_F(ServerTest, WhoSaysNothingIsCutOff) {
    server_->close();
    start({.greeting = 300ms, .half_open = 1024, .stall = 60s});
    const auto silence = stay_silent(io_, worker().port, 20);
    EXPECT_EQ(silence.closed, 20);
    EXPECT_GE(silence.took, 290ms);
    EXPECT_EQ(refusal(worker(), hello_as(Role::worker)), "accepted");
}

TEST_F(ServerTest, SilentConnectionsLeaveRoomForOthers) {
    server_->close();
    start({.greeting = 60s, .half_open = 3, .stall = 60s});
    // The first three are waited for, the others dropped at once.
    const auto silence = stay_silent(io_, worker().port, 8);
    EXPECT_EQ(silence.closed, 5);
}

TEST_F(ServerTest, AFolderThatOthersCanEnterIsRefusedWithTheCure) {
    server_->close();
    std::filesystem::permissions(folder_, std::filesystem::perms::group_exec,
                                 std::filesystem::perm_options::add);
    for (const bool as_client : {true, false}) {
        try {
            as_client ? static_cast<void>(worker()) : start();
            FAIL() << "it was taken";
        } catch (const UserError& error) {
            EXPECT_THAT(error.what(), HasSubstr("chmod 700 '" + folder_.string() + "'"));
        }
    }
}

TEST_F(ServerTest, PlainTextGetsNowhere) {
    asio::ip::tcp::socket socket(io_);
    bool closed = false;
    asio::co_spawn(
        io_,
        [&]() -> asio::awaitable<void> {
            co_await socket.async_connect({asio::ip::make_address("127.0.0.1"), worker().port},
                                          asio::use_awaitable);
            co_await asio::async_write(socket, asio::buffer(std::string(100, 'G')), asio::use_awaitable);
            std::array<char, 1000> bytes{};
            try {
                while (true) {
                    co_await socket.async_read_some(asio::buffer(bytes), asio::use_awaitable);
                }
            } catch (const boost::system::system_error&) {
                closed = true;
            }
        },
        [&](const std::exception_ptr&) { io_.stop(); });
    io_.restart();
    io_.run_for(8s);
    EXPECT_TRUE(closed);
    EXPECT_TRUE(greeted_.empty());
}

TEST_F(ServerTest, AccessStaysTheSameAfterARestart) {
    const Access before = worker();
    server_->close();
    io_.restart();
    io_.poll();
    start();
    const Access after = worker();
    EXPECT_EQ(before.token, after.token);
    EXPECT_EQ(before.port, after.port);
    EXPECT_EQ(before.certificate_fingerprint, after.certificate_fingerprint);
}

TEST_F(ServerTest, AccessFilesSayWhichDatabaseTheyAreFor) {
    restart_for({"one", {"here", "/a/r.db", 7, 42}});
    for (const Access& access : {user(), worker()}) {
        EXPECT_EQ(access.database_id, "one");
        EXPECT_EQ(access.database, (DatabasePlace{"here", "/a/r.db", 7, 42}));
    }
    EXPECT_EQ(refusal(user(), hello_as(Role::user)), "accepted");
    Access other = worker();
    other.database_id = "another";
    EXPECT_THAT(refusal(other, hello_as(Role::worker)), HasSubstr("/a/r.db"));
    other.database_id.clear();  // of an older release
    EXPECT_EQ(refusal(other, hello_as(Role::worker)), "accepted");
}

TEST_F(ServerTest, KeysOfAnotherDatabaseAreNotTakenOver) {
    restart_for({"one", {}});
    const Access before = worker();
    const Access user_before = user();
    restart_for({"one", {}});
    EXPECT_EQ(worker().token, before.token);
    EXPECT_EQ(worker().certificate_fingerprint, before.certificate_fingerprint);
    restart_for({"copy", {}});
    EXPECT_NE(worker().token, before.token);
    EXPECT_NE(user().token, user_before.token);
    EXPECT_NE(worker().certificate_fingerprint, before.certificate_fingerprint);
}

TEST_F(ServerTest, SecretsAreForTheirOwnerOnly) {
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
        struct stat status {};
        ASSERT_EQ(stat(entry.path().c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 0777U, 0600U) << entry.path();
    }
}

TEST_F(ServerTest, AnAccessFileThatOthersCanReadIsRefusedWithTheCure) {
    const auto path = user_access_file(folder_);
    std::filesystem::permissions(path, std::filesystem::perms::others_read,
                                 std::filesystem::perm_options::add);
    try {
        read_access_file(path);
        FAIL() << "it was read";
    } catch (const UserError& error) {
        EXPECT_THAT(error.what(), HasSubstr("chmod 600"));
    }
}

}  // namespace
}  // namespace orchestrate
