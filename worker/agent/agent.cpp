#include "worker/agent/agent.h"

#include <algorithm>
#include <csignal>
#include <deque>
#include <filesystem>
#include <optional>
#include <random>
#include <utility>
#include <vector>

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
#include "common/base/worker_exit.h"
#include "common/protocol/channel.h"
#include "worker/agent/remote_storage.h"
#include "worker/agent/unacknowledged_results.h"

namespace orchestrate {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using asio::use_awaitable;

// Attempts held at a time, the one that runs among them. They cost some kilobytes each.
constexpr int kLeaseCapacity = 65;

class Agent {
  public:
    Agent(const AgentOptions& options, std::unique_ptr<Collective> collective)
        : options_(options), ranks_(std::max(options.slots, collective->size())), signals_(io_) {
        for (const int signal : signals_not_ignored({SIGTERM, SIGINT, SIGHUP, SIGUSR1})) {
            signals_.add(signal);
        }
        ignore_harmless_signals();
        runner_.emplace(options.runner, std::move(collective), [this](const AttemptReport& message) {
            keep_result(message);
            asio::post(io_, [this, message] {
                if (!runner_->usable() || !remote_.report(message)) {
                    on_report(message);
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
        options_.runner.log->flush();
        _exit(exit_code_);
    }

  private:
    void end(int exit_code) {
        exit_code_ = exit_code;
        ended_ = true;
        if (connection_) {
            connection_->finish();
        }
        signals_.cancel();
        pause_.cancel();
        heartbeat_.cancel();
    }

    // Ends when nothing runs and nothing waits for an acknowledgement.
    void end_if_done() {
        if (leaving_ && !running_ && results_.own().empty()) {
            end(0);
        }
    }

    void leave(const std::string& why) {
        leaving_ = true;
        leaving_why_ = why;
        if (connection_) {
            connection_->send(Goodbye{leaving_why_});  // so that no job comes any more
        }
        give_back(std::exchange(queue_, {}), "the worker leaves");
        stop_running(Cause::preempted);
        end_if_done();
    }

    // Without a connection the coordinator learns it from the next hello.
    void give_back(const std::deque<Lease>& leases, const std::string& why) {
        for (const auto& lease : leases) {
            if (connection_) {
                connection_->send(
                    AttemptEnded{lease.attempt, Cause::preempted, why + ", before it began", {}});
            }
        }
    }

    void stop_running(Cause cause) {
        if (!running_) {
            return;
        }
        if (remote_.cancel(*running_)) {
            on_report(AttemptEnded{*running_, cause, "stopped before it began", {}});
        } else {
            runner_->stop(cause);
        }
    }

    asio::awaitable<void> wait_for_signals() {
        if (ended_) {
            co_return;
        }
        try {
            const int signal = co_await signals_.async_wait(use_awaitable);
            options_.runner.log->warn("signal {}: ending after the current step", signal);
            signal_ = signal;
            leave("signal " + std::to_string(signal));
            co_await signals_.async_wait(use_awaitable);
            _exit(128 + signal);
        } catch (const boost::system::system_error&) {
            co_return;  // cancelled by end()
        }
    }

    asio::awaitable<void> stay_connected() {
        auto reached_at = std::chrono::steady_clock::now();
        std::minstd_rand random(static_cast<unsigned>(getpid()));
        auto backoff = 100ms;
        while (!ended_) {
            try {
                const Access access = read_access_file(options_.access_file);
                results_.open(spool_folder(options_.log_folder, access.certificate_fingerprint));
                auto connected = co_await connect_to_coordinator(access, hello(), 10s);
                backoff = 100ms;
                co_await serve(std::move(connected));
                reached_at = std::chrono::steady_clock::now();
            } catch (const UserError& error) {
                options_.runner.log->error(error.what());
                if (!results_.own().empty() || running_) {
                    options_.runner.log->warn(
                        "what runs here is lost after its last checkpoint; results are kept on disk");
                }
                end(1);
            } catch (const std::exception& error) {
                options_.runner.log->warn("no coordinator: {}", error.what());
            }
            if (ended_) {
                break;
            }
            if (leaving_ || std::chrono::steady_clock::now() - reached_at > options_.orphan_limit) {
                options_.runner.log->error("no coordinator for {} s; ending",
                                           std::chrono::duration_cast<std::chrono::seconds>(
                                               std::chrono::steady_clock::now() - reached_at)
                                               .count());
                end(1);
                break;
            }
            // Jitter, so that thousands of workers do not come back in step.
            const auto jitter = std::uniform_real_distribution<double>(0.5, 1.5)(random);
            pause_.expires_after(std::chrono::duration_cast<std::chrono::milliseconds>(backoff * jitter));
            backoff = std::min<std::chrono::milliseconds>(2 * backoff, 5s);
            boost::system::error_code ignored;
            co_await pause_.async_wait(asio::redirect_error(use_awaitable, ignored));
        }
    }

    Hello hello() const {
        Hello hello;
        hello.program_version = options_.program_version;
        hello.role = Role::worker;
        hello.name = options_.name;
        hello.host = host_name();
        hello.process_id = getpid();
        hello.ranks = ranks_;
        hello.device = to_string(options_.runner.device);
        hello.log_folder = options_.log_folder.string();
        if (running_) {
            hello.running = running_;
        } else if (!results_.own().empty()) {
            hello.running = results_.own().front().ended.attempt;
        }
        hello.lease_capacity = kLeaseCapacity;
        for (const auto& report : results_.own()) {
            hello.held.push_back(report.ended.attempt);
        }
        if (running_) {
            hello.held.push_back(*running_);
        }
        for (const auto& lease : queue_) {
            hello.held.push_back(lease.attempt);
        }
        return hello;
    }

    asio::awaitable<void> serve(Connected connected) {
        using namespace asio::experimental::awaitable_operators;
        connection_.emplace(connected.connection);
        options_.runner.log->info("connected to the coordinator at {}", connection_->peer_address());
        const auto& current = connected.welcome.current;
        const auto is_current = [&](const AttemptId& attempt) {
            return std::find(current.begin(), current.end(), attempt) != current.end() ||
                   (running_ == attempt && connected.welcome.running_is_current);
        };
        if (running_ && !is_current(*running_)) {
            options_.runner.log->warn("job {} was given to another worker; stopping it", running_->job);
            outbox_.clear();
            remote_.drop(*running_);
            stop_running(Cause::cancelled);
        }
        std::erase_if(queue_, [&](const Lease& lease) { return !is_current(lease.attempt); });
        if (leaving_) {
            connection_->send(Goodbye{leaving_why_});
        }
        remote_.connected([connection = *connection_](const TransferRequest& request) {
            connection.send(widen<WorkerToCoordinator>(request));
        });
        for (const auto& message : outbox_) {
            connection_->send(widen<WorkerToCoordinator>(message));
        }
        outbox_.clear();
        for (const auto& report : results_.own()) {
            connection_->send(report.ended);
        }
        for (const auto& ended : results_.leftovers()) {
            connection_->send(ended);
        }
        end_if_done();
        const std::chrono::milliseconds interval(connected.welcome.heartbeat_interval_milliseconds);
        last_heard_ = std::chrono::steady_clock::now();
        try {
            co_await (beat(interval) || listen());
        } catch (const std::exception&) {
            // Said by listen(); the loop around tries again.
        }
        connection_->close();
        connection_.reset();
        results_.save_all();
        remote_.disconnected();
    }

    asio::awaitable<void> beat(std::chrono::milliseconds interval) {
        while (!connection_->closed()) {
            look_after_ranks();
            results_.save_old();
            connection_->send(Heartbeat{runner_->step(), runner_->advances() + remote_.advances()});
            heartbeat_.expires_after(interval);
            co_await heartbeat_.async_wait(use_awaitable);
            if (std::chrono::steady_clock::now() - last_heard_ > 3 * interval) {
                options_.runner.log->warn("the coordinator is silent; connecting again");
                co_return;
            }
        }
    }

    // A lost rank ends this worker. Its attempt tells so itself as soon as it waits for that rank; one that is held
    // up elsewhere, as in a GPU's driver, is spoken for after one more heartbeat.
    void look_after_ranks() {
        const std::string lost = runner_->lost_peer();
        if (lost.empty() || ended_) {
            return;
        }
        if (running_ && !rank_is_lost_) {
            rank_is_lost_ = true;
            return;
        }
        options_.runner.log->error("{}; ending", lost);
        connection_->send(Goodbye{lost});
        if (running_) {
            AttemptEnded ended{*running_, Cause::node_lost, lost, {}};
            judge_silence(ended);
            connection_->send(ended);
        }
        end(kExitRankLost);
    }

    // Launchers ask the ranks that are left to end when one has failed. Where that came before a rank was found silent,
    // it crashed: which is counted, unlike the loss of a node.
    void judge_silence(AttemptEnded& ended) const {
        if (ended.cause == Cause::node_lost && signal_ != 0) {
            ended.cause = Cause::worker_crashed;
            ended.message += ", after its launcher had sent signal " + std::to_string(signal_);
        }
    }

    asio::awaitable<void> listen() {
        try {
            while (true) {
                const CoordinatorToWorker message = co_await connection_->read();
                last_heard_ = std::chrono::steady_clock::now();
                on_message(message);
            }
        } catch (const std::exception& error) {
            if (!ended_) {
                options_.runner.log->warn("connection lost: {}", error.what());
            }
            connection_->close();
            heartbeat_.cancel();
            throw;
        }
    }

    void on_message(const CoordinatorToWorker& message) {
        match(
            message, [](const Heartbeat&) {}, [&](const Lease& lease) { take(lease); },
            [&](const Acknowledged& acknowledged) { on_acknowledged(acknowledged); },
            [&](const EpochsStored& stored) { runner_->epochs_stored(stored.attempt, stored.number); },
            [&](const StopAttempt& stop) { on_stop(stop); },
            [&](const HandBack& back) { on_hand_back(back); }, [&](const Retire&) { leave("retired"); },
            [&](const ParcelProgress& progress) { remote_.on_reply(progress); },
            [&](const CheckpointChunk& chunk) { remote_.on_reply(chunk); });
    }

    void on_acknowledged(const Acknowledged& acknowledged) {
        results_.acknowledged(acknowledged.attempt);
        if (acknowledged.stale) {
            options_.runner.log->warn("the result of job {} came too late: another attempt has taken over",
                                      acknowledged.attempt.job);
        }
        end_if_done();
    }

    void on_stop(const StopAttempt& stop) {
        if (running_ == stop.attempt) {
            stop_running(Cause::cancelled);
        } else if (take_from_queue(stop.attempt)) {
            connection_->send(AttemptEnded{stop.attempt, Cause::cancelled, "before it began", {}});
        }
    }

    void on_hand_back(const HandBack& back) {
        std::deque<Lease> returned;
        for (const auto& attempt : back.attempts) {
            if (auto unbegun = take_from_queue(attempt)) {
                returned.push_back(*std::move(unbegun));
            }
        }
        give_back(returned, "handed back");
    }

    void take(const Lease& lease) {
        if (leaving_) {
            give_back({lease}, "the worker leaves");
        } else if (running_) {
            queue_.push_back(lease);
        } else {
            begin(lease);
        }
    }

    void begin(const Lease& lease) {
        options_.runner.log->info("job {}, attempt {}: begins", lease.attempt.job, lease.attempt.number);
        running_ = lease.attempt;
        if (sees(lease.checkpoints.mark)) {
            runner_->start(lease);
        } else if (lease.config.command) {
            // Its files do not travel.
            if (!std::exchange(said_unseen_, true)) {
                const std::string why =
                    "its commands run without checkpoints, and begin at the beginning if they are "
                    "interrupted: this host does not see '" +
                    std::filesystem::path(lease.checkpoints.mark.file).parent_path().string() + "'";
                options_.runner.log->warn("{}", why);
                if (connection_) {
                    connection_->send(WorkerNote{why});
                }
            }
            Lease without = lease;
            without.checkpoints.folder.clear();
            without.checkpoints.resume_from.clear();
            runner_->start(without);
        } else {
            remote_.take(lease);
        }
    }

    void begin_next() {
        if (!queue_.empty() && !running_ && !ended_ && runner_->usable()) {
            const Lease lease = std::move(queue_.front());
            queue_.pop_front();
            begin(lease);
        }
    }

    std::optional<Lease> take_from_queue(const AttemptId& attempt) {
        const auto found = std::find_if(queue_.begin(), queue_.end(),
                                        [&](const Lease& lease) { return lease.attempt == attempt; });
        if (found == queue_.end()) {
            return std::nullopt;
        }
        Lease lease = std::move(*found);
        queue_.erase(found);
        return lease;
    }

    // On the runner's thread; or, if the model must travel before, once it has.
    void keep_result(const AttemptReport& message) {
        const auto* ended = std::get_if<AttemptEnded>(&message);
        if (ended != nullptr &&
            !(ended->result && ended->result->model && remote_.holds(ended->result->model->folder))) {
            results_.save_if_costly(*ended);
        }
    }

    void on_report(const AttemptReport& message) {
        match(
            message, [&](const AttemptEnded& ended) { on_ended(ended); },
            [&](const AttemptProgress& progress) {
                if (connection_) {
                    connection_->send(progress);
                }
            },
            [&](const AttemptEpoch& epoch) { send_or_keep(epoch); },
            [&](const AttemptResumed& resumed) { send_or_keep(resumed); },
            [&](const CheckpointWritten& written) { send_or_keep(written); });
    }

    void send_or_keep(const AttemptReport& message) {
        if (connection_) {
            connection_->send(widen<WorkerToCoordinator>(message));
        } else {
            outbox_.push_back(message);
        }
    }

    void on_ended(AttemptEnded ended) {
        running_.reset();
        judge_silence(ended);
        results_.add(ended);
        if (connection_) {
            if (!runner_->usable()) {
                connection_->send(Goodbye{"a rank was lost"});  // so that it gets no other job
            }
            connection_->send(ended);
        } else {
            results_.save_all();
        }
        if (!runner_->usable()) {
            end(ended.cause == Cause::node_lost ? kExitRankLost : kExitOutOfStep);
        }
        if (ended.cause == Cause::node_lost && runner_->usable()) {
            give_back(std::exchange(queue_, {}), "this host cannot run jobs at the moment");
        }
        begin_next();
    }

    const AgentOptions& options_;
    int ranks_;
    asio::io_context io_;
    asio::signal_set signals_;
    asio::steady_timer pause_{io_};
    asio::steady_timer heartbeat_{io_};
    const std::unique_ptr<DurableFiles> files_ = make_system_files();
    UnacknowledgedResults results_{*files_, options_.runner.log};
    RemoteStorage remote_{options_.scratch_folder, options_.runner.log,
                          [this](const AttemptReport& message) {
                              keep_result(message);
                              on_report(message);
                          },
                          [this](const Lease& lease) { runner_->start(lease); }};
    std::optional<JobRunner> runner_;
    std::optional<WorkerChannel> connection_;
    std::chrono::steady_clock::time_point last_heard_;
    std::optional<AttemptId> running_;
    std::deque<Lease> queue_;            // to begin afterwards, in order
    std::vector<AttemptReport> outbox_;  // epochs and checkpoints from while no coordinator was reached
    bool leaving_ = false;
    std::string leaving_why_;
    bool rank_is_lost_ = false;
    bool said_unseen_ = false;  // that commands have no checkpoints here
    int signal_ = 0;            // that asked this process to end; 0: none did
    bool ended_ = false;
    int exit_code_ = 0;
};

}  // namespace

int run_agent(const AgentOptions& options, std::unique_ptr<Collective> collective) {
    return Agent(options, std::move(collective)).run();
}

}  // namespace orchestrate
