#include "coordinator/cli/pilot.h"

#include <csignal>
#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <unistd.h>

#include "cluster/launcher.h"
#include "common/base/error.h"
#include "common/base/host.h"
#include "common/base/log.h"
#include "common/base/process_signals.h"
#include "common/base/visit.h"
#include "common/protocol/channel.h"
#include "coordinator/sites/sites.h"

namespace orchestrate {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using asio::use_awaitable;

constexpr auto kPollInterval = 100ms;
constexpr auto kStopGrace = 10s;

class Pilot {
  public:
    explicit Pilot(const PilotOptions& options)
        : options_(options),
          log_(open_log(options.name, options.log_folder / (options.name + ".log"))),
          site_(
              make_srun_launcher(options.mpi_type == "automatic" ? default_srun_mpi_type() : options.mpi_type,
                                 options.memory_mib_per_rank),
              {options.slots, options.threads_per_rank, options.device, options.access_file,
               options.log_folder,
               std::chrono::milliseconds(static_cast<std::int64_t>(1000 * options.heartbeat_seconds)),
               options.interface}),
          signals_(io_) {
        for (const int signal : signals_not_ignored({SIGTERM, SIGINT, SIGUSR1})) {
            signals_.add(signal);
        }
        ignore_harmless_signals();
    }

    int run() {
        asio::co_spawn(io_, stay_connected(), asio::detached);
        asio::co_spawn(io_, poll(), asio::detached);
        asio::co_spawn(io_, watch_signals(), asio::detached);
        io_.run();
        log_->info("ends with exit code {}", exit_code_);
        return exit_code_;
    }

  private:
    asio::awaitable<void> watch_signals() {
        const int signal = co_await signals_.async_wait(use_awaitable);
        log_->warn("signal {}: stopping all workers", signal);
        if (channel_) {
            channel_->send(
                Goodbye{"signal " + std::to_string(signal)});  // so that no worker is wanted here any more
        }
        co_await end(0);
    }

    asio::awaitable<void> end(int exit_code) {
        exit_code_ = exit_code;
        ending_ = true;
        for (const auto& worker : site_.running()) {
            site_.stop(worker, kStopGrace);
        }
        asio::steady_timer timer(io_);
        while (!site_.running().empty()) {
            timer.expires_after(kPollInterval);
            co_await timer.async_wait(use_awaitable);
            report_exits();
        }
        io_.stop();
    }

    void report_exits() {
        for (const auto& exit : site_.take_exits()) {
            log_->info("worker {} ended: exit code {}, signal {} {}{}", exit.worker, exit.exit_code,
                       exit.signal, exit.error, exit.step_state);
            if (channel_) {
                channel_->send(
                    WorkerExited{exit.worker, exit.exit_code, exit.signal, exit.error, exit.step_state});
            }
        }
    }

    asio::awaitable<void> poll() {
        asio::steady_timer timer(io_);
        auto beat_at = std::chrono::steady_clock::now();
        while (true) {
            timer.expires_after(kPollInterval);
            co_await timer.async_wait(use_awaitable);
            report_exits();
            if (channel_ && std::chrono::steady_clock::now() > beat_at) {
                channel_->send(Heartbeat{});
                beat_at = std::chrono::steady_clock::now() + heartbeat_interval_;
            }
        }
    }

    asio::awaitable<void> stay_connected() {
        auto reached_at = std::chrono::steady_clock::now();
        asio::steady_timer timer(io_);
        while (!ending_) {
            try {
                Hello hello;
                hello.program_version = options_.program_version;
                hello.role = Role::pilot;
                hello.name = options_.name;
                hello.host = host_name();
                hello.process_id = getpid();
                hello.slots = options_.slots;
                auto connected =
                    co_await connect_to_coordinator(read_access_file(options_.access_file), hello, 10s);
                heartbeat_interval_ =
                    std::chrono::milliseconds(connected.welcome.heartbeat_interval_milliseconds);
                channel_.emplace(connected.connection);
                log_->info("connected to the coordinator at {}", channel_->peer_address());
                while (true) {
                    on_message(co_await channel_->read());
                    reached_at = std::chrono::steady_clock::now();
                }
            } catch (const std::exception& error) {
                log_->warn("no coordinator: {}", error.what());
            }
            channel_.reset();
            if (std::chrono::steady_clock::now() - reached_at > options_.orphan_limit) {
                log_->error("no coordinator came back; ending");
                co_await end(1);
                co_return;
            }
            timer.expires_after(1s);
            co_await timer.async_wait(use_awaitable);
        }
    }

    void on_message(const CoordinatorToPilot& message) {
        match(
            message,
            [&](const StartWorker& start) {
                if (ending_) {
                    log_->info("not starting worker {}: ending", start.name);
                    return;
                }
                log_->info("starting worker {} with {} rank(s)", start.name, start.ranks);
                site_.start(start.name, start.ranks);
            },
            [&](const StopWorker& stop) {
                site_.stop(stop.name, std::chrono::milliseconds(stop.grace_milliseconds));
            },
            [](const Heartbeat&) {});
    }

    const PilotOptions& options_;
    Log log_;
    LauncherSite site_;
    asio::io_context io_{1};
    asio::signal_set signals_;
    std::optional<PilotChannel> channel_;
    std::chrono::milliseconds heartbeat_interval_{4000};
    bool ending_ = false;
    int exit_code_ = 0;
};

}  // namespace

int run_pilot(const PilotOptions& options) {
    return Pilot(options).run();
}

}  // namespace orchestrate
