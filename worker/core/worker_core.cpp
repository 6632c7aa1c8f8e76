#include "worker/core/worker_core.h"

#include <algorithm>
#include <utility>

#include "common/base/visit.h"
#include "common/base/worker_exit.h"

namespace orchestrate {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kFirstBackoff = 100ms;
constexpr std::chrono::milliseconds kMaxBackoff = 5s;
constexpr int kMissedHeartbeats = 3;

}  // namespace

WorkerCore::WorkerCore(Options options, WorkerEnv& env, DurableFiles& files, Log log, Time now)
    : options_(std::move(options)),
      env_(env),
      log_(log),
      state_(files, std::move(log)),
      last_heard_(now),
      reached_at_(now),
      backoff_(kFirstBackoff) {}

std::vector<AttemptId> WorkerCore::held() const {
    std::vector<AttemptId> held;
    for (const auto& report : state_.results.own()) {
        held.push_back(report.ended.attempt);
    }
    if (state_.running) {
        held.push_back(*state_.running);
    }
    for (const auto& lease : state_.queue) {
        held.push_back(lease.attempt);
    }
    return held;
}

Hello WorkerCore::hello() const {
    Hello hello = options_.hello;
    hello.held = held();
    return hello;
}

void WorkerCore::on_connected(const Welcome& welcome, const std::string& peer_address, Time now) {
    backoff_ = kFirstBackoff;
    state_.connected = true;
    log_->info("connected to the coordinator at {}", peer_address);
    drop_stale(welcome);
    if (state_.leaving) {
        env_.send(Goodbye{leaving_why_});
    }
    env_.resume_transfers();
    resend();
    end_if_done();
    heartbeat_interval_ = std::chrono::milliseconds(welcome.heartbeat_interval_milliseconds);
    last_heard_ = now;
}

void WorkerCore::drop_stale(const Welcome& welcome) {
    const auto is_current = [&](const AttemptId& attempt) {
        return std::find(welcome.current.begin(), welcome.current.end(), attempt) != welcome.current.end();
    };
    std::erase_if(state_.queue, [&](const Lease& lease) { return !is_current(lease.attempt); });
    if (!state_.running || is_current(*state_.running)) {
        return;
    }
    const AttemptId stale = *state_.running;
    log_->warn("job {} was given to another worker; stopping it", stale.job);
    state_.outbox.clear();
    env_.drop_transfers(stale);
    if (state_.running == stale) {  // its end was not waiting for a transfer
        stop_running(Cause::cancelled);
    }
}

void WorkerCore::resend() {
    for (const auto& message : std::exchange(state_.outbox, {})) {
        env_.send(widen<WorkerReport>(message));
    }
    for (const auto& report : state_.results.own()) {
        env_.send(report.ended);
    }
    for (const auto& ended : state_.results.leftovers()) {
        env_.send(ended);
    }
}

bool WorkerCore::beat(const RanksState& ranks, Time now) {
    if (is_silent(now)) {
        log_->warn("the coordinator is silent; connecting again");
        return false;
    }
    check_ranks(ranks.lost_rank);
    save_late_results();
    env_.send(Heartbeat{ranks.step, ranks.advances});
    return true;
}

bool WorkerCore::is_silent(Time now) const {
    return now - last_heard_ > kMissedHeartbeats * heartbeat_interval_;
}

// A lost rank ends this worker. Its attempt reports the loss itself as soon as it waits for that rank; for one that is
// held up elsewhere, as in a GPU's driver, this is done after one more heartbeat.
void WorkerCore::check_ranks(const std::string& lost_rank) {
    if (lost_rank.empty() || ended_) {
        return;
    }
    if (state_.running && !speaks_for_running()) {
        return;
    }
    log_->error("{}; ending", lost_rank);
    env_.send(Goodbye{lost_rank});
    if (state_.running) {
        env_.send(blame_launcher({*state_.running, Cause::node_lost, lost_rank, {}}));
    }
    end(kExitRankLost);
}

bool WorkerCore::speaks_for_running() {
    return std::exchange(rank_is_lost_, true);
}

// Launchers ask the ranks that are left to end when one has failed. Where that came before a rank was found silent, it
// crashed: which is counted, unlike the loss of a node.
AttemptEnded WorkerCore::blame_launcher(AttemptEnded ended) const {
    if (ended.cause == Cause::node_lost && signal_ != 0) {
        ended.cause = Cause::worker_crashed;
        ended.message += ", after its launcher had sent signal " + std::to_string(signal_);
    }
    return ended;
}

void WorkerCore::on_message(const CoordinatorToWorker& message, Time now) {
    last_heard_ = now;
    match(
        message, [](const Heartbeat&) {}, [this](const Lease& lease) { take(lease); },
        [this](const EpochsStored& stored) { env_.epochs_stored(stored.attempt, stored.number); },
        [this](const Acknowledged& acknowledged) { acknowledge(acknowledged); },
        [this](const StopAttempt& stop) { stop_attempt(stop.attempt); },
        [this](const RetractLeases& back) { retract(back.attempts); },
        [this](const Retire&) { leave("retired"); }, [](const UploadProgress&) {},
        [](const CheckpointChunk&) {});
}

void WorkerCore::on_connection_lost(const std::string& why) {
    if (!ended_) {
        log_->warn("connection lost: {}", why);
    }
}

void WorkerCore::on_disconnected(Time now) {
    state_.connected = false;
    save_results();
    env_.suspend_transfers();
    reached_at_ = now;
}

void WorkerCore::on_unreachable(const std::string& why) {
    log_->warn("no coordinator: {}", why);
}

void WorkerCore::on_refused(const std::string& why) {
    log_->error(why);
    if (!state_.results.own().empty() || state_.running) {
        log_->warn("what runs here is lost after its last checkpoint; results are kept on disk");
    }
    end(1);
}

std::optional<std::chrono::milliseconds> WorkerCore::reconnect_after(Time now, double jitter) {
    if (ended_) {
        return std::nullopt;
    }
    if (state_.leaving || is_orphaned(now)) {
        log_->error("no coordinator for {} s; ending",
                    std::chrono::duration_cast<std::chrono::seconds>(now - reached_at_).count());
        end(1);
        return std::nullopt;
    }
    return std::chrono::duration_cast<std::chrono::milliseconds>(next_backoff() * jitter);
}

bool WorkerCore::is_orphaned(Time now) const {
    return now - reached_at_ > options_.orphan_limit;
}

std::chrono::milliseconds WorkerCore::next_backoff() {
    return std::exchange(backoff_, std::min(2 * backoff_, kMaxBackoff));
}

void WorkerCore::take(const Lease& lease) {
    if (state_.leaving) {
        give_back({lease}, "the worker leaves");
    } else {
        state_.queue.push_back(lease);
        begin_next();
    }
}

void WorkerCore::begin(const Lease& lease) {
    log_->info("job {}, attempt {}: begins", lease.attempt.job, lease.attempt.number);
    state_.running = lease.attempt;
    if (env_.sees(lease.checkpoints.mark)) {
        env_.start(lease);
    } else if (lease.config.command) {
        begin_without_checkpoints(lease);
    } else {
        env_.start_with_transfers(lease);
    }
}

// The files of a command do not travel.
void WorkerCore::begin_without_checkpoints(Lease lease) {
    if (!std::exchange(noted_unseen_, true)) {
        const std::string why =
            "its commands run without checkpoints, and begin at the beginning if they are "
            "interrupted: this host does not see '" +
            std::filesystem::path(lease.checkpoints.mark.file).parent_path().string() + "'";
        log_->warn("{}", why);
        if (state_.connected) {
            env_.send(WorkerNote{why});
        }
    }
    lease.checkpoints.folder.clear();
    lease.checkpoints.resume_from.clear();
    env_.start(lease);
}

void WorkerCore::begin_next() {
    if (!state_.queue.empty() && !state_.running && !ended_ && env_.can_run()) {
        const Lease lease = std::move(state_.queue.front());
        state_.queue.pop_front();
        begin(lease);
    }
}

void WorkerCore::stop_attempt(const AttemptId& attempt) {
    if (state_.running == attempt) {
        stop_running(Cause::cancelled);
    } else if (take_from_queue(attempt)) {
        env_.send(AttemptEnded{attempt, Cause::cancelled, "before it began", {}});
    }
}

void WorkerCore::retract(const std::vector<AttemptId>& attempts) {
    std::deque<Lease> returned;
    for (const auto& attempt : attempts) {
        if (auto unbegun = take_from_queue(attempt)) {
            returned.push_back(*std::move(unbegun));
        }
    }
    give_back(returned, "handed back");
}

void WorkerCore::acknowledge(const Acknowledged& acknowledged) {
    state_.results.acknowledged(acknowledged.attempt);
    if (acknowledged.stale) {
        log_->warn("the result of job {} came too late: another attempt has taken over",
                   acknowledged.attempt.job);
    }
    end_if_done();
}

void WorkerCore::on_signal(int signal) {
    log_->warn("signal {}: ending after the current step", signal);
    signal_ = signal;
    leave("signal " + std::to_string(signal));
}

void WorkerCore::leave(const std::string& why) {
    state_.leaving = true;
    leaving_why_ = why;
    if (state_.connected) {
        env_.send(Goodbye{leaving_why_});  // so that no job comes any more
    }
    give_back(std::exchange(state_.queue, {}), "the worker leaves");
    stop_running(Cause::preempted);
    end_if_done();
}

// Ends when nothing runs and nothing waits for an acknowledgement.
void WorkerCore::end_if_done() {
    if (state_.leaving && !state_.running && state_.results.own().empty()) {
        end(0);
    }
}

void WorkerCore::save_before_report(const AttemptEnded& ended) {
    state_.results.save_if_costly(ended);
}

void WorkerCore::on_report(const AttemptReport& message) {
    if (const auto* ended = std::get_if<AttemptEnded>(&message)) {
        end_attempt(blame_launcher(*ended));
    } else {
        pass_on(message);
    }
}

void WorkerCore::end_attempt(const AttemptEnded& ended) {
    state_.running.reset();
    state_.results.add(ended);
    if (state_.connected) {
        if (!env_.can_run()) {
            env_.send(Goodbye{"a rank was lost"});  // so that it gets no other job
        }
        env_.send(ended);
    } else {
        save_results();
    }
    if (!env_.can_run()) {
        end(ended.cause == Cause::node_lost ? kExitRankLost : kExitOutOfStep);
    } else if (ended.cause == Cause::node_lost) {
        give_back(std::exchange(state_.queue, {}), "this host cannot run jobs at the moment");
    }
    begin_next();
}

void WorkerCore::pass_on(const AttemptReport& message) {
    if (state_.connected) {
        env_.send(widen<WorkerReport>(message));
    } else if (!std::holds_alternative<AttemptProgress>(message)) {
        state_.outbox.push_back(message);
    }
}

void WorkerCore::save_results() {
    state_.results.save_all();
}

void WorkerCore::save_late_results() {
    state_.results.save_old();
}

// Without a connection the coordinator learns it from the next hello.
void WorkerCore::give_back(const std::deque<Lease>& leases, const std::string& why) {
    for (const auto& lease : leases) {
        if (state_.connected) {
            env_.send(AttemptEnded{lease.attempt, Cause::preempted, why + ", before it began", {}});
        }
    }
}

std::optional<Lease> WorkerCore::take_from_queue(const AttemptId& attempt) {
    const auto found = std::find_if(state_.queue.begin(), state_.queue.end(),
                                    [&](const Lease& lease) { return lease.attempt == attempt; });
    if (found == state_.queue.end()) {
        return std::nullopt;
    }
    Lease lease = std::move(*found);
    state_.queue.erase(found);
    return lease;
}

void WorkerCore::stop_running(Cause cause) {
    if (state_.running && !env_.stop(*state_.running, cause)) {
        end_attempt(blame_launcher({*state_.running, cause, "stopped before it began", {}}));
    }
}

void WorkerCore::end(int exit_code) {
    ended_ = true;
    env_.end(exit_code);
}

}  // namespace orchestrate
