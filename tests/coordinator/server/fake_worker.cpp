// A worker that trains nothing: it takes leases over the real protocol and has results a few milliseconds later. Named
// orchestrate-worker beside a copy of orchestrate, it loads a real coordinator. With --longest-job 0 its jobs are no-ops.
// What was acknowledged to it stands in
// LOG_FOLDER/acknowledged.txt, one line "JOB ATTEMPT CAUSE" each.
#include <algorithm>
#include <deque>
#include <optional>
#include <random>

#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fcntl.h>
#include <unistd.h>

#include "common/base/host.h"
#include "common/base/visit.h"
#include "common/protocol/channel.h"

namespace orchestrate {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

class FakeWorker {
  public:
    FakeWorker(Hello hello, std::string access_file, int longest_job_milliseconds)
        : hello_(std::move(hello)),
          access_file_(std::move(access_file)),
          no_op_(longest_job_milliseconds == 0),
          job_milliseconds_(1, std::max(1, longest_job_milliseconds)),
          random_(std::hash<std::string>{}(hello_.name)),
          acknowledged_(open((hello_.log_folder + "/acknowledged.txt").c_str(),
                             O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {}

    void run() {
        asio::co_spawn(io_, stay_connected(), asio::detached);
        io_.run();
    }

  private:
    asio::awaitable<void> stay_connected() {
        auto reached_at = std::chrono::steady_clock::now();
        while (!ended_ && std::chrono::steady_clock::now() - reached_at < 20s) {
            try {
                hello_.held.clear();
                for (const auto& ended : unacknowledged_) {
                    hello_.held.push_back(ended.attempt);
                }
                if (running_) {
                    hello_.held.push_back(*running_);
                }
                hello_.held.insert(hello_.held.end(), queue_.begin(), queue_.end());
                hello_.running = hello_.held.empty() ? std::nullopt : std::optional(hello_.held.front());
                const auto connected =
                    co_await connect_to_coordinator(read_access_file(access_file_), hello_, 5s);
                reached_at = std::chrono::steady_clock::now();
                co_await serve(connected);
            } catch (const std::exception&) {
                // Said by nobody: the coordinator is being killed all the time.
            }
            connection_.reset();
            asio::steady_timer pause(io_, 20ms);
            co_await pause.async_wait(asio::use_awaitable);
        }
        io_.stop();
    }

    asio::awaitable<void> serve(const Connected& connected) {
        connection_.emplace(connected.connection);
        const auto is_stale = [&current = connected.welcome.current](const AttemptId& attempt) {
            return std::find(current.begin(), current.end(), attempt) == current.end();
        };
        std::erase_if(unacknowledged_, [&](const AttemptEnded& ended) { return is_stale(ended.attempt); });
        std::erase_if(queue_, is_stale);
        if (running_ && is_stale(*running_)) {
            running_.reset();
        }
        begin_next();
        for (const auto& ended : unacknowledged_) {
            connection_->send(ended);
        }
        while (!ended_) {
            on_message(co_await connection_->read());
            if (leaving_ && !running_ && unacknowledged_.empty()) {
                connection_->send(Goodbye{"retired"});
                connection_->finish();
                ended_ = true;
            }
        }
    }

    void on_message(const CoordinatorToWorker& message) {
        match(
            message,
            [&](const Lease& lease) {
                queue_.push_back(lease.attempt);
                begin_next();
            },
            [&](const Acknowledged& acknowledged) { settle(acknowledged); },
            [&](const StopAttempt& stop) {
                if (running_ == stop.attempt) {
                    running_.reset();
                    connection_->send(AttemptEnded{stop.attempt, Cause::cancelled, "", {}, ""});
                    begin_next();
                } else if (std::erase(queue_, stop.attempt) > 0) {
                    connection_->send(
                        AttemptEnded{stop.attempt, Cause::cancelled, "before it began", {}, ""});
                }
            },
            [&](const HandBack& back) {
                for (const auto& attempt : back.attempts) {
                    if (std::erase(queue_, attempt) > 0) {
                        connection_->send(AttemptEnded{attempt, Cause::preempted, "handed back", {}, ""});
                    }
                }
            },
            [&](const Retire&) {
                leaving_ = true;
                for (const auto& attempt : std::exchange(queue_, {})) {
                    connection_->send(AttemptEnded{attempt, Cause::preempted, "leaving", {}, ""});
                }
            },
            [](const Heartbeat&) {}, [](const EpochsStored&) {}, [](const ParcelProgress&) {},
            [](const CheckpointChunk&) {});
    }

    void begin_next() {
        while (!running_ && !queue_.empty()) {
            running_ = queue_.front();
            queue_.pop_front();
            if (!no_op_) {
                asio::co_spawn(io_, train(*running_), asio::detached);
                return;
            }
            end_no_op();
        }
    }

    void end_no_op() {
        AttemptEnded ended{*std::exchange(running_, std::nullopt), Cause::succeeded, "", {}, ""};
        ended.result.emplace();
        ended.result->ranks = hello_.ranks;
        unacknowledged_.push_back(ended);
        if (connection_) {
            connection_->send(ended);
        }
    }

    asio::awaitable<void> train(AttemptId attempt) {
        asio::steady_timer timer(io_, std::chrono::milliseconds(job_milliseconds_(random_)));
        co_await timer.async_wait(asio::use_awaitable);
        if (running_ != attempt) {
            co_return;
        }
        EpochMetrics epoch;
        epoch.epoch = 1;
        AttemptEnded ended{attempt, Cause::preempted, "", {}, ""};
        if (random_() % 10 != 0) {
            ended.cause = Cause::succeeded;
            ended.result.emplace();
            ended.result->ranks = hello_.ranks;
            ended.result->classes = {"a", "b"};
            ended.result->test_confusion = {{0, 1, 3}};
            ended.result->test_predictions = {{2, 5}, {0, 1}, {1, 1}, {0.75F, 0.5F}};
        }
        running_.reset();
        unacknowledged_.push_back(ended);
        if (connection_) {
            connection_->send(AttemptEpoch{attempt, epoch});
            connection_->send(ended);
        }
        begin_next();
    }

    void settle(const Acknowledged& acknowledged) {
        for (const auto& ended : unacknowledged_) {
            if (ended.attempt == acknowledged.attempt && !acknowledged.stale && !no_op_) {
                const std::string line = std::to_string(ended.attempt.job) + " " +
                                         std::to_string(ended.attempt.number) + " " + to_string(ended.cause) +
                                         "\n";
                [[maybe_unused]] const auto ignored = write(acknowledged_, line.data(), line.size());
            }
        }
        std::erase_if(unacknowledged_,
                      [&](const AttemptEnded& ended) { return ended.attempt == acknowledged.attempt; });
    }

    asio::io_context io_{1};
    Hello hello_;
    std::string access_file_;
    bool no_op_;  // has smallest results at once, and writes nothing down
    std::uniform_int_distribution<int> job_milliseconds_;
    std::minstd_rand random_;
    int acknowledged_;
    std::optional<WorkerChannel> connection_;
    std::optional<AttemptId> running_;
    std::deque<AttemptId> queue_;
    std::deque<AttemptEnded> unacknowledged_;
    bool leaving_ = false;
    bool ended_ = false;
};

}  // namespace
}  // namespace orchestrate

int main(int argc, char** argv) {
    CLI::App app("A worker that trains nothing");
    app.allow_extras();
    orchestrate::Hello hello;
    hello.role = orchestrate::Role::worker;
    hello.host = orchestrate::host_name();
    hello.process_id = getpid();
    hello.device = "cpu";
    hello.lease_capacity = 65;
    std::string access_file;
    int longest_job_milliseconds = 30;
    app.add_option("--access", access_file)->required();
    app.add_option("--name", hello.name);
    app.add_option("--ranks", hello.ranks);
    app.add_option("--log-folder", hello.log_folder);
    app.add_option("--longest-job", longest_job_milliseconds)->envname("FAKE_WORKER_LONGEST_JOB");
    CLI11_PARSE(app, argc, argv);
    orchestrate::FakeWorker(hello, access_file, longest_job_milliseconds).run();
    return 0;
}
