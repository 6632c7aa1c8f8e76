#include "coordinator/server/result_reader.h"

#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <sqlite3.h>

#include "common/base/error.h"
#include "common/protocol/message_codec.h"
#include "coordinator/database/read_database.h"

namespace orchestrate {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kThreads = 3;
constexpr int kInstructionsBetweenLooks = 10'000;

// Ends the statements of a connection once the coordinator ends, or the time is up.
struct Interruption {
    const std::atomic<bool>& stopping;
    std::chrono::steady_clock::time_point deadline;

    static int is_due(void* self) {
        const auto& interruption = *static_cast<const Interruption*>(self);
        return interruption.stopping || std::chrono::steady_clock::now() > interruption.deadline ? 1 : 0;
    }
};

asio::awaitable<void> call(std::function<void()> work) {
    work();
    co_return;
}

ResultReader::Frame frame_of(const ClientReply& message) {
    try {
        return encode_frame(message);
    } catch (const ProtocolError&) {
        return encode_frame(ClientReply(
            Refused{"the answer is too large to be sent; ask for less, as with a study's name or --limit"}));
    }
}

}  // namespace

ResultReader::ResultReader(std::filesystem::path database)
    : database_(std::move(database)), threads_(kThreads) {}

ResultReader::~ResultReader() {
    stopping_ = true;
    threads_.join();
}

void ResultReader::interruptible(SQLite::Database& database, const Work& work) {
    Interruption interruption{stopping_, std::chrono::steady_clock::now() + kLimit};
    sqlite3_progress_handler(database.getHandle(), kInstructionsBetweenLooks, &Interruption::is_due,
                             &interruption);
    try {
        work(database);
    } catch (const SQLite::Exception& error) {
        sqlite3_progress_handler(database.getHandle(), 0, nullptr, nullptr);
        if (error.getErrorCode() != SQLITE_INTERRUPT) {
            throw;
        }
        throw UserError(stopping_ ? "the coordinator ends"
                                  : "the database was read for " + std::to_string(kLimit.count()) +
                                        " s without an answer; the query was ended");
    } catch (...) {
        sqlite3_progress_handler(database.getHandle(), 0, nullptr, nullptr);
        throw;
    }
    sqlite3_progress_handler(database.getHandle(), 0, nullptr, nullptr);
}

asio::awaitable<void> ResultReader::read(std::shared_ptr<Snapshot> snapshot, Work work) {
    std::function<void()> task = [this, snapshot = std::move(snapshot), work = std::move(work)] {
        if (snapshot) {
            const std::lock_guard lock(snapshot->mutex);
            interruptible(snapshot->database, work);
        } else {
            auto database = open_to_read(database_);
            interruptible(database, work);
        }
    };
    co_await asio::co_spawn(threads_, call(std::move(task)), asio::use_awaitable);
}

asio::awaitable<ResultReader::Frame> ResultReader::encode(ClientReply message) {
    Frame frame;
    std::function<void()> task = [&frame, &message] { frame = frame_of(message); };
    co_await asio::co_spawn(threads_, call(std::move(task)), asio::use_awaitable);
    co_return frame;
}

}  // namespace orchestrate
