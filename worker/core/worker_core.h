// What a worker decides: which lease it begins, what it answers, what it keeps until it is acknowledged, when it
// connects again and when it ends. Events are function calls, actions are calls of a WorkerEnv. Pure: no clock, no
// randomness, no socket, no thread; files only through DurableFiles. The agent of orchestrate-worker, the simulation and
// the fake worker of the tests run this class.
#pragma once

#include <chrono>
#include <deque>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/log.h"
#include "common/protocol/worker_messages.h"
#include "worker/core/unacknowledged_results.h"

namespace orchestrate {

// What a core asks of its process. All calls come from within the core's functions, on their thread, in the order in
// which they are to take effect. None may throw; only drop_transfers() may call the core.
class WorkerEnv {
  public:
    virtual ~WorkerEnv() = default;

    // To the coordinator, in order. Only between on_connected() and on_disconnected(). What a broken connection loses, the
    // core sends again after the next one, if it matters.
    virtual void send(const WorkerReport& message) = 0;

    // Whether this host sees the directory of checkpoints that the coordinator has marked.
    virtual bool sees(const SharedFolderMark& mark) = 0;

    // Starts an attempt; only when none runs. Its reports come to on_report(), AttemptEnded as the last of them.
    virtual void start(const Lease& lease) = 0;

    // The same for an attempt whose checkpoints and models travel over the connection: it begins when the checkpoint to
    // resume from has arrived.
    virtual void start_with_transfers(const Lease& lease) = 0;

    // Asks the attempt that was started last to end. True: AttemptEnded will be reported, with this cause if the attempt
    // has not ended otherwise. False: it was still waiting for its checkpoint, was forgotten, and nothing is reported.
    virtual bool stop(const AttemptId& attempt, Cause cause) = 0;

    // The coordinator has stored that attempt's first `number` epochs.
    virtual void epochs_stored(const AttemptId& attempt, std::int64_t number) = 0;

    // Whether its ranks can run attempts. Once false, always false.
    virtual bool can_run() const = 0;

    // The transfers of a lost lease end: a report that waits for them comes to on_report() before this returns.
    virtual void drop_transfers(const AttemptId& attempt) = 0;
    virtual void resume_transfers() = 0;   // there is a connection
    virtual void suspend_transfers() = 0;  // there is none

    // The worker ends: the connection after what was sent, then the process with this exit code. Called again, the later code counts.
    virtual void end(int exit_code) = 0;
};

// How its ranks are, at a heartbeat.
struct RanksState {
    std::int64_t step = 0;      // as in Heartbeat
    std::int64_t advances = 0;  // as in Heartbeat
    std::string lost_rank;      // which one was lost, for users; empty: none
};

// All calls on one thread, except save_before_report(). The life of a connection is
//
//     hello() -> on_connected() -> { beat(), on_message() } -> on_connection_lost() -> on_disconnected() -> reconnect_after()
//     hello() -> on_unreachable() or on_refused() ----------------------------------------------------------> reconnect_after()
//
// Reports and signals may come at any time. After WorkerEnv::end() the remaining calls change nothing that matters.
class WorkerCore {
  public:
    using Time = std::chrono::steady_clock::time_point;

    struct Options {
        Hello hello;                                      // who it is; hello() adds what it holds
        std::chrono::milliseconds orphan_limit{120'000};  // it ends after this time without a coordinator
    };

    // `env` and `files` must outlive it.
    WorkerCore(Options options, WorkerEnv& env, DurableFiles& files, Log log, Time now);
    virtual ~WorkerCore() = default;
    WorkerCore(const WorkerCore&) = delete;
    WorkerCore& operator=(const WorkerCore&) = delete;

    // Where results are kept until they are acknowledged; the first call counts. Takes up what earlier workers left there.
    void open_results(const std::filesystem::path& folder) { state_.results.open(folder); }

    // With this it connects.
    Hello hello() const;
    void on_connected(const Welcome& welcome, const std::string& peer_address, Time now);
    // At once when it has connected, and again after each heartbeat interval of the Welcome. False: the coordinator is
    // silent, and the connection is to be closed.
    bool beat(const RanksState& ranks, Time now);
    // Files that travel are for the process, and only a sign of life here.
    void on_message(const CoordinatorToWorker& message, Time now);
    void on_connection_lost(const std::string& why);
    void on_disconnected(Time now);
    void on_unreachable(const std::string& why);
    void on_refused(const std::string& why);
    // How long to wait before the next connection; nothing: the worker has ended. `jitter`, from 0.5 to 1.5, scales it, so
    // that thousands of workers do not come back in step.
    std::optional<std::chrono::milliseconds> reconnect_after(Time now, double jitter);

    // Before on_report() of the same end, so that a result that took long is on disk before it is reported. Thread-safe.
    virtual void save_before_report(const AttemptEnded& ended);
    void on_report(const AttemptReport& message);
    void on_signal(int signal);

    const std::optional<AttemptId>& running() const { return state_.running; }
    const std::deque<Lease>& queue() const { return state_.queue; }
    const UnacknowledgedResults& results() const { return state_.results; }
    bool leaving() const { return state_.leaving; }
    bool ended() const { return ended_; }

  protected:
    struct State {
        State(DurableFiles& files, Log log) : results(files, std::move(log)) {}

        bool connected = false;
        bool leaving = false;
        std::optional<AttemptId> running;
        std::deque<Lease> queue;            // to begin afterwards, in order
        std::vector<AttemptReport> outbox;  // epochs and checkpoints from while there was no coordinator
        UnacknowledgedResults results;
    };
    State& state() { return state_; }
    const State& state() const { return state_; }
    WorkerEnv& env() { return env_; }

    // The decisions. A test overrides one with a mutant, which the simulation must find.

    // What it holds: results that wait for an acknowledgement, what runs, what is to begin.
    virtual std::vector<AttemptId> held() const;
    // After a new connection: ends what has lost its lease.
    virtual void drop_stale(const Welcome& welcome);
    // After a new connection: all that may not have arrived over the one before.
    virtual void resend();
    virtual void take(const Lease& lease);
    virtual void begin(const Lease& lease);
    virtual void begin_next();
    virtual void stop_attempt(const AttemptId& attempt);
    virtual void retract(const std::vector<AttemptId>& attempts);
    virtual void acknowledge(const Acknowledged& acknowledged);
    virtual void leave(const std::string& why);
    virtual void end_if_done();
    virtual void end_attempt(const AttemptEnded& ended);
    // Epochs, checkpoints and the like.
    virtual void pass_on(const AttemptReport& message);
    // No acknowledgement can come for a while.
    virtual void save_results();
    // At a heartbeat.
    virtual void save_late_results();
    virtual bool is_silent(Time now) const;
    virtual bool is_orphaned(Time now) const;
    virtual std::chrono::milliseconds next_backoff();
    // Whether the attempt that a lost rank holds up must be ended here.
    virtual bool speaks_for_running();

    // What they are made of.
    void give_back(const std::deque<Lease>& leases, const std::string& why);
    std::optional<Lease> take_from_queue(const AttemptId& attempt);
    void stop_running(Cause cause);
    void end(int exit_code);

  private:
    void check_ranks(const std::string& lost_rank);
    void begin_without_checkpoints(Lease lease);
    AttemptEnded blame_launcher(AttemptEnded ended) const;

    Options options_;
    WorkerEnv& env_;
    Log log_;
    State state_;
    std::string leaving_why_;
    std::chrono::milliseconds heartbeat_interval_{};
    Time last_heard_;  // on this connection
    Time reached_at_;  // when the last connection ended; before the first: when the worker began
    std::chrono::milliseconds backoff_;
    bool rank_is_lost_ = false;
    bool noted_unseen_ = false;  // that commands have no checkpoints here
    int signal_ = 0;             // that asked this process to end; 0: none did
    bool ended_ = false;
};

}  // namespace orchestrate
