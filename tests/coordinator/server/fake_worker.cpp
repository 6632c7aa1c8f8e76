// A worker that trains nothing: the core of orchestrate-worker over the real protocol, with results a few milliseconds
// after a lease. Named orchestrate-worker beside a copy of orchestrate, it loads a real coordinator. With --longest-job 0
// its jobs are no-ops. It keeps results in memory only, so that its disk slows nothing down. What was acknowledged to it
// is in LOG_FOLDER/acknowledged.txt, one line "JOB ATTEMPT CAUSE" each.
#include <algorithm>
#include <optional>
#include <random>

#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fcntl.h>
#include <spdlog/sinks/null_sink.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/host.h"
#include "common/base/visit.h"
#include "common/protocol/channel.h"
#include "worker/core/worker_core.h"

namespace orchestrate {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kReconnectPause = 20ms;  // its coordinator is killed all the time

class FakeWorker final : WorkerEnv {
  public:
    FakeWorker(const Hello& hello, std::string access_file, int longest_job_milliseconds)
        : ranks_(hello.ranks),
          access_file_(std::move(access_file)),
          no_op_(longest_job_milliseconds == 0),
          job_milliseconds_(1, std::max(1, longest_job_milliseconds)),
          random_(std::hash<std::string>{}(hello.name)),
          acknowledged_(open((hello.log_folder + "/acknowledged.txt").c_str(),
                             O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)),
          core_({hello, 20s}, *this, *files_,
                std::make_shared<spdlog::logger>("null", std::make_shared<spdlog::sinks::null_sink_st>()),
                std::chrono::steady_clock::now()) {}

    int run() {
        asio::co_spawn(io_, stay_connected(), asio::detached);
        io_.run();
        return exit_code_;
    }

  private:
    void send(const WorkerReport& message) override { channel_->send(widen<WorkerToCoordinator>(message)); }
    bool sees(const SharedFolderMark&) override { return true; }
    void start(const Lease& lease) override {
        running_ = lease.attempt;
        if (no_op_) {
            asio::post(io_, [this] { report(no_op_end()); });
        } else {
            asio::co_spawn(io_, train(lease.attempt), asio::detached);
        }
    }
    void start_with_transfers(const Lease& lease) override { start(lease); }
    bool stop(const AttemptId& attempt, Cause cause) override {
        if (!no_op_ && running_ == attempt) {
            asio::post(io_, [this, attempt, cause] {
                if (running_ == attempt) {
                    report(AttemptEnded{attempt, cause, "", {}, ""});
                }
            });
        }
        return true;
    }
    void epochs_stored(const AttemptId&, std::int64_t) override {}
    bool can_run() const override { return true; }
    void drop_transfers(const AttemptId&) override {}
    void resume_transfers() override {}
    void suspend_transfers() override {}
    void end(int exit_code) override {
        exit_code_ = exit_code;
        if (channel_) {
            channel_->finish();
        }
    }

    asio::awaitable<void> stay_connected() {
        bool connects = true;
        while (connects) {
            try {
                auto connected =
                    co_await connect_to_coordinator(read_access_file(access_file_), core_.hello(), 5s);
                co_await serve(std::move(connected));
            } catch (const UserError& error) {
                core_.on_refused(error.what());
            } catch (const std::exception& error) {
                core_.on_unreachable(error.what());
            }
            connects = core_.reconnect_after(std::chrono::steady_clock::now(), 1).has_value();
            if (connects) {
                asio::steady_timer pause(io_, kReconnectPause);
                co_await pause.async_wait(asio::use_awaitable);
            }
        }
        io_.stop();
    }

    asio::awaitable<void> serve(Connected connected) {
        using namespace asio::experimental::awaitable_operators;
        channel_.emplace(connected.connection);
        core_.on_connected(connected.welcome, "", std::chrono::steady_clock::now());
        const std::chrono::milliseconds interval(connected.welcome.heartbeat_interval_milliseconds);
        try {
            co_await (beat(interval) || listen());
        } catch (const std::exception& error) {
            core_.on_connection_lost(error.what());
        }
        channel_->close();
        core_.on_disconnected(std::chrono::steady_clock::now());
        channel_.reset();
    }

    asio::awaitable<void> beat(std::chrono::milliseconds interval) {
        asio::steady_timer heartbeat(io_);
        while (core_.beat({0, ends_, ""}, std::chrono::steady_clock::now())) {
            heartbeat.expires_after(interval);
            co_await heartbeat.async_wait(asio::use_awaitable);
        }
    }

    asio::awaitable<void> listen() {
        while (true) {
            const CoordinatorToWorker message = co_await channel_->read();
            if (const auto* acknowledged = std::get_if<Acknowledged>(&message)) {
                write_down(*acknowledged);
            }
            core_.on_message(message, std::chrono::steady_clock::now());
        }
    }

    void report(const AttemptEnded& ended) {
        running_.reset();
        ++ends_;
        core_.on_report(ended);
    }

    AttemptEnded no_op_end() const {
        AttemptEnded ended{*running_, Cause::succeeded, "", {}, ""};
        ended.result.emplace();
        ended.result->ranks = ranks_;
        return ended;
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
            ended.result->ranks = ranks_;
            ended.result->classes = {"a", "b"};
            ended.result->test_confusion = {{0, 1, 3}};
            ended.result->test_predictions = {{2, 5}, {0, 1}, {1, 1}, {0.75F, 0.5F}};
        }
        core_.on_report(AttemptEpoch{attempt, epoch});
        report(ended);
    }

    void write_down(const Acknowledged& acknowledged) const {
        for (const auto& [ended, on_disk, waited] : core_.results().own()) {
            if (ended.attempt == acknowledged.attempt && !acknowledged.stale && !no_op_) {
                const std::string line = to_string(ended.attempt.job) + " " +
                                         std::to_string(ended.attempt.number) + " " + to_string(ended.cause) +
                                         "\n";
                [[maybe_unused]] const auto ignored = write(acknowledged_, line.data(), line.size());
            }
        }
    }

    asio::io_context io_{1};
    int ranks_;
    std::string access_file_;
    bool no_op_;  // has smallest results at once, and writes nothing down
    std::uniform_int_distribution<int> job_milliseconds_;
    std::minstd_rand random_;
    int acknowledged_;
    const std::unique_ptr<DurableFiles> files_ = make_system_files();
    WorkerCore core_;
    std::optional<WorkerChannel> channel_;
    std::optional<AttemptId> running_;
    std::int64_t ends_ = 0;
    int exit_code_ = 0;
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
    return orchestrate::FakeWorker(hello, access_file, longest_job_milliseconds).run();
}
