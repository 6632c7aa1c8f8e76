#include "worker/agent/agent.h"

#include <algorithm>
#include <csignal>
#include <optional>
#include <random>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/host.h"
#include "common/base/process_signals.h"
#include "common/base/visit.h"
#include "common/protocol/channel.h"
#include "worker/agent/remote_storage.h"
#include "worker/core/worker_core.h"

namespace orchestrate {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using asio::use_awaitable;

// Attempts held at a time, the one that runs among them. They cost some kilobytes each.
constexpr int kLeaseCapacity = 65;

Hello hello_of(const AgentOptions& options, int processes) {
    Hello hello;
    hello.program_version = options.program_version;
    hello.role = Role::worker;
    hello.name = options.name;
    hello.host = host_name();
    hello.process_id = getpid();
    hello.ranks = std::max(options.slots, processes);
    hello.is_one_process = options.slots > processes;
    hello.device = to_string(options.runner.device);
    hello.log_folder = options.log_folder.string();
    hello.lease_capacity = kLeaseCapacity;
    return hello;
}

// Moves events to the core and carries out what it decides. All on the thread of run(), but for what the runner calls.
class Agent final : WorkerEnv {
  public:
    Agent(const AgentOptions& options, std::unique_ptr<Collective> collective)
        : options_(options),
          log_(options.runner.log),
          signals_(io_),
          core_({hello_of(options, collective->size()), options.orphan_limit}, *this, *files_, log_,
                std::chrono::steady_clock::now()) {
        for (const int signal : signals_not_ignored({SIGTERM, SIGINT, SIGHUP, SIGUSR1})) {
            signals_.add(signal);
        }
        ignore_harmless_signals();
        runner_.emplace(options.runner, std::move(collective), [this](const AttemptReport& message) {
            save_before_report(message);
            asio::post(io_, [this, message] {
                if (!runner_->usable() || !remote_.report(message)) {
                    core_.on_report(message);
                }
            });
        });
    }

    int run() {
        asio::co_spawn(io_, wait_for_signals(), asio::detached);
        asio::co_spawn(io_, stay_connected(), asio::detached);
        io_.run();
        if (runner_->usable() && runner_->lost_peer().empty()) {
            runner_.reset();
            return exit_code_;
        }
        // A rank is gone: leaving through MPI would wait for it.
        log_->flush();
        _exit(exit_code_);
    }

  private:
    void send(const WorkerReport& message) override { channel_->send(widen<WorkerToCoordinator>(message)); }
    bool sees(const SharedFolderMark& mark) override { return orchestrate::sees(mark); }
    void start(const Lease& lease) override { runner_->start(lease); }
    void start_with_transfers(const Lease& lease) override { remote_.take(lease); }
    bool stop(const AttemptId& attempt, Cause cause) override {
        if (remote_.cancel(attempt)) {
            return false;
        }
        runner_->stop(cause);
        return true;
    }
    void epochs_stored(const AttemptId& attempt, std::int64_t number) override {
        runner_->epochs_stored(attempt, number);
    }
    bool can_run() const override { return runner_->usable(); }
    void drop_transfers(const AttemptId& attempt) override { remote_.drop(attempt); }
    void resume_transfers() override {
        remote_.connected([channel = *channel_](const TransferRequest& request) {
            channel.send(widen<WorkerToCoordinator>(request));
        });
    }
    void suspend_transfers() override { remote_.disconnected(); }
    void end(int exit_code) override {
        exit_code_ = exit_code;
        if (channel_) {
            channel_->finish();
        }
        signals_.cancel();
        pause_.cancel();
        heartbeat_.cancel();
    }

    // On the runner's thread; or, if the model must travel before, once it has.
    void save_before_report(const AttemptReport& message) {
        const auto* ended = std::get_if<AttemptEnded>(&message);
        if (ended != nullptr &&
            !(ended->result && ended->result->model && remote_.holds(ended->result->model->folder))) {
            core_.save_before_report(*ended);
        }
    }

    asio::awaitable<void> wait_for_signals() {
        if (core_.ended()) {
            co_return;
        }
        try {
            const int signal = co_await signals_.async_wait(use_awaitable);
            core_.on_signal(signal);
            co_await signals_.async_wait(use_awaitable);
            _exit(128 + signal);
        } catch (const boost::system::system_error&) {
            co_return;  // cancelled by end()
        }
    }

    asio::awaitable<void> stay_connected() {
        std::minstd_rand random(static_cast<unsigned>(getpid()));
        std::uniform_real_distribution<double> jitter(0.5, 1.5);
        while (!core_.ended()) {
            try {
                const Access access = read_access_file(options_.access_file);
                core_.open_results(spool_folder(options_.log_folder, access.certificate_fingerprint));
                auto connected = co_await connect_to_coordinator(access, core_.hello(), 10s);
                co_await serve(std::move(connected));
            } catch (const UserError& error) {
                core_.on_refused(error.what());
            } catch (const std::exception& error) {
                core_.on_unreachable(error.what());
            }
            const auto pause = core_.reconnect_after(std::chrono::steady_clock::now(), jitter(random));
            if (!pause) {
                break;
            }
            pause_.expires_after(*pause);
            boost::system::error_code ignored;
            co_await pause_.async_wait(asio::redirect_error(use_awaitable, ignored));
        }
    }

    asio::awaitable<void> serve(Connected connected) {
        using namespace asio::experimental::awaitable_operators;
        channel_.emplace(connected.connection);
        core_.on_connected(connected.welcome, channel_->peer_address(), std::chrono::steady_clock::now());
        const std::chrono::milliseconds interval(connected.welcome.heartbeat_interval_milliseconds);
        try {
            co_await (beat(interval) || listen());
        } catch (const std::exception&) {
            // Said by listen(); the loop around tries again.
        }
        channel_->close();
        core_.on_disconnected(std::chrono::steady_clock::now());
        channel_.reset();
    }

    asio::awaitable<void> beat(std::chrono::milliseconds interval) {
        const auto ranks = [this] {
            return RanksState{runner_->step(), runner_->advances() + remote_.advances(),
                              runner_->lost_peer()};
        };
        while (!channel_->closed() && core_.beat(ranks(), std::chrono::steady_clock::now())) {
            heartbeat_.expires_after(interval);
            co_await heartbeat_.async_wait(use_awaitable);
        }
    }

    asio::awaitable<void> listen() {
        try {
            while (true) {
                const CoordinatorToWorker message = co_await channel_->read();
                match(
                    split<WorkerOrder, TransferReply>(message), [](const WorkerOrder&) {},
                    [this](const TransferReply& reply) { remote_.on_reply(reply); });
                core_.on_message(message, std::chrono::steady_clock::now());
            }
        } catch (const std::exception& error) {
            core_.on_connection_lost(error.what());
            channel_->close();
            heartbeat_.cancel();
            throw;
        }
    }

    const AgentOptions& options_;
    const Log log_;
    asio::io_context io_;
    asio::signal_set signals_;
    asio::steady_timer pause_{io_};
    asio::steady_timer heartbeat_{io_};
    const std::unique_ptr<DurableFiles> files_ = make_system_files();
    WorkerCore core_;
    RemoteStorage remote_{options_.scratch_folder, log_,
                          [this](const AttemptReport& message) {
                              save_before_report(message);
                              core_.on_report(message);
                          },
                          [this](const Lease& lease) { runner_->start(lease); }};
    std::optional<JobRunner> runner_;
    std::optional<WorkerChannel> channel_;
    int exit_code_ = 0;
};

}  // namespace

int run_agent(const AgentOptions& options, std::unique_ptr<Collective> collective) {
    return Agent(options, std::move(collective)).run();
}

}  // namespace orchestrate
