// Answers what users ask of the results database on threads of its own, with connections of its own: however long a
// query takes, the coordinator's loop is not held by it. Answers are encoded there, too.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>

#include "common/protocol/client_messages.h"

namespace orchestrate {

// A copy of a database that only the coordinator can open, for readers in other threads.
struct Snapshot {
    SQLite::Database database;
    std::chrono::steady_clock::time_point made_at;
    std::mutex mutex;  // one reader at a time

    Snapshot(SQLite::Database copy, std::chrono::steady_clock::time_point at)
        : database(std::move(copy)), made_at(at) {}
};

// Used from one thread.
class ResultReader {
  public:
    using Frame = std::vector<std::uint8_t>;  // a message as it is sent
    using Work = std::function<void(SQLite::Database&)>;

    explicit ResultReader(std::filesystem::path database);
    // Interrupts the queries that run.
    ~ResultReader();
    ResultReader(const ResultReader&) = delete;
    ResultReader& operator=(const ResultReader&) = delete;

    // Calls `work` with a connection that only reads: to the database's file, or to the snapshot if there is one. Throws
    // what `work` throws; UserError if the database cannot be read, or if it takes longer than kLimit.
    boost::asio::awaitable<void> read(std::shared_ptr<Snapshot> snapshot, Work work);

    // Encodes an answer. One that is too large becomes a Refused.
    boost::asio::awaitable<Frame> encode(ClientReply message);

    static constexpr std::chrono::seconds kLimit{240};  // shorter than a client waits

  private:
    void interruptible(SQLite::Database& database, const Work& work);

    std::filesystem::path database_;
    std::atomic<bool> stopping_ = false;
    boost::asio::thread_pool threads_;  // ends before what it uses
};

}  // namespace orchestrate
