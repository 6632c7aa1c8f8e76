// What users ask of a coordinator's database: read and encoded by the threads of ResultReader.
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "coordinator/server/coordinator.h"

namespace orchestrate {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

// A snapshot serves readers for so long, and at least for so many times as long as it took to make.
constexpr std::chrono::milliseconds kSnapshotAge = 5s;
constexpr int kPagesAtATime = 64;

double seconds_since(std::chrono::steady_clock::time_point then) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - then).count();
}

}  // namespace

asio::awaitable<std::shared_ptr<Snapshot>> Coordinator::snapshot() {
    if (store_.is_shared()) {
        co_return nullptr;
    }
    asio::steady_timer timer(io_);
    while (snapshot_is_being_made_) {
        timer.expires_after(20ms);
        co_await timer.async_wait(asio::use_awaitable);
    }
    if (!snapshot_ || now() - snapshot_->made_at > kSnapshotAge) {
        snapshot_is_being_made_ = true;
        std::exception_ptr failure;
        try {
            snapshot_ = co_await make_snapshot();
        } catch (...) {
            failure = std::current_exception();
        }
        snapshot_is_being_made_ = false;
        if (failure) {
            std::rethrow_exception(failure);
        }
    }
    co_return snapshot_;
}

asio::awaitable<std::shared_ptr<Snapshot>> Coordinator::make_snapshot() {
    {
        const auto hold = watch_.hold("the begin of a snapshot for readers");
        store_.begin_copy();
    }
    while (true) {
        {
            const auto hold = watch_.hold("a slice of a snapshot for readers");
            if (auto copy = store_.continue_copy(kPagesAtATime)) {
                co_return std::make_shared<Snapshot>(*std::move(copy), now());
            }
        }
        co_await asio::post(io_, asio::use_awaitable);
    }
}

template <class Reply>
asio::awaitable<ResultReader::Frame> Coordinator::read(std::function<Reply(SQLite::Database&)> find) {
    ClientReply answer;
    try {
        Reply reply;
        std::shared_ptr<Snapshot> source = co_await snapshot();
        ResultReader::Work work = [&reply, &find](SQLite::Database& database) { reply = find(database); };
        co_await reader_.read(source, std::move(work));
        if (source) {
            reply.age_seconds = seconds_since(source->made_at);
        }
        answer = std::move(reply);
    } catch (const std::exception& error) {
        answer = Refused{error.what()};
    }
    co_return co_await reader_.encode(std::move(answer));
}

template asio::awaitable<ResultReader::Frame> Coordinator::read(std::function<TextReply(SQLite::Database&)>);
template asio::awaitable<ResultReader::Frame> Coordinator::read(std::function<JobsReply(SQLite::Database&)>);
template asio::awaitable<ResultReader::Frame> Coordinator::read(std::function<JobReply(SQLite::Database&)>);
template asio::awaitable<ResultReader::Frame> Coordinator::read(std::function<LogReply(SQLite::Database&)>);

asio::awaitable<ResultReader::Frame> Coordinator::why_job(std::string job) {
    ClientReply answer;
    try {
        TextReply reply;
        std::shared_ptr<Snapshot> source = co_await snapshot();
        WhyFacts facts;
        ResultReader::Work work = [&facts, &job](SQLite::Database& database) {
            facts = stored_facts(database, job);
        };
        co_await reader_.read(source, std::move(work));
        add_live_facts(facts);
        reply.text = why_text(facts);
        if (source) {
            reply.age_seconds = seconds_since(source->made_at);
        }
        answer = std::move(reply);
    } catch (const std::exception& error) {
        answer = Refused{error.what()};
    }
    co_return co_await reader_.encode(std::move(answer));
}

// What the database does not say, or no longer: it may have been read a moment ago.
void Coordinator::add_live_facts(WhyFacts& facts) const {
    facts.coordinator_lives = true;
    facts.dispatch_paused = dispatcher_.pause_reason();
    for (const auto& run : runs_) {
        if (!run->has_ended() && run->study().name == facts.study) {
            facts.stage_has_begun = run->has_job(facts.job.row.job);
            facts.current_stage = run->stage_name();
            facts.study_paused = run->is_paused();
        }
    }
    const JobId id = facts.job.row.job;
    const Job* const job = store_.jobs().find(id);
    if (job == nullptr) {
        return;
    }
    if (job->state == JobState::waiting) {
        facts.scheduler = dispatcher_.why_waiting(id);
        if (const std::string pilot = slurm_ ? slurm_->awaited_pilot() : ""; !pilot.empty()) {
            facts.scheduler += " (" + pilot + ")";
        }
    }
    const auto assignment = dispatcher_.assignments().find(id);
    facts.worker_is_away = assignment != dispatcher_.assignments().end();
    if (!facts.worker_is_away) {
        return;
    }
    for (const auto& [name, worker] : dispatcher_.workers()) {
        if (worker.running == assignment->second.attempt) {
            facts.worker_is_away = !worker.connection;
            facts.progress = worker.progress;
        }
    }
}

}  // namespace orchestrate
