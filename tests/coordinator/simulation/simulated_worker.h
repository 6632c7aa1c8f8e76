// One worker process of the simulation: the core of orchestrate-worker, a runner that only pretends to train, and checks
// of what the core does with both, seen from outside.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/coordinator/simulation/simulation.h"
#include "worker/core/worker_core.h"

namespace orchestrate::test {

inline constexpr std::int64_t kHeartbeat = 4000;
inline constexpr std::int64_t kSilence = 3 * kHeartbeat;  // after which the other side is given up
inline std::string name_of(const AttemptId& attempt) {
    return "job " + to_string(attempt.job) + ", attempt " + std::to_string(attempt.number);
}

inline constexpr const char* kSpoolFolder = "/logs/unacknowledged/simulation";

struct Simulation::Worker final : WorkerEnv, std::enable_shared_from_this<Worker> {
    Worker(Simulation& simulation, Hello who, std::shared_ptr<Pilot> of_pilot);

    void send(const WorkerReport& message) override;
    bool sees(const SharedFolderMark&) override { return !remote; }
    void start(const Lease& lease) override;
    void start_with_transfers(const Lease& lease) override { start(lease); }
    bool stop(const AttemptId& attempt, Cause cause) override;
    void epochs_stored(const AttemptId&, std::int64_t) override {}
    bool can_run() const override { return !has_failed_ranks; }
    void drop_transfers(const AttemptId& attempt) override;
    void resume_transfers() override {}
    void suspend_transfers() override {}
    void end(int exit_code) override;

    WorkerCore::Time now() const { return WorkerCore::Time(std::chrono::milliseconds(world.now_)); }
    void is_answered(const HelloReply& reply);
    void hears(const CoordinatorToWorker& message);
    void be_welcomed(const Welcome& welcome);
    // False: it closes the connection.
    bool beat();
    void disconnect();
    // Nothing: it ends.
    std::optional<std::int64_t> reconnect_after();
    // What the runner reports of the attempt that is trained reaches the core.
    void report_epoch(std::int64_t epoch);
    void report_end();
    bool is_connected() const;
    bool is_idle() const;

    // simulated_worker_checks.cpp
    void check(bool holds, const std::string& what) const;
    void check_hello(const Hello& said) const;
    void check_end(const AttemptEnded& ended) const;
    void check_welcomed(const Welcome& welcome, const std::set<AttemptId>& ends_due,
                        std::optional<AttemptId> stale) const;
    void check_beat(bool stays) const;
    void check_pause(std::optional<std::int64_t> pause) const;
    void check_state() const;
    void check_leaving() const;
    void check_on_disk(int beats) const;
    void check_exit() const;
    bool is_on_disk(const AttemptId& attempt) const;

    Simulation& world;
    const Hello hello;
    const std::shared_ptr<Pilot> pilot;  // null: on this machine
    const std::int64_t orphan_limit;     // milliseconds
    const std::unique_ptr<WorkerCore> core;

    // The process.
    bool alive = true;
    bool stopped = false;                        // by SIGSTOP
    std::vector<std::function<void()>> waiting;  // until it is continued
    bool partitioned = false;                    // what is sent to and from it vanishes
    bool was_signalled = false;
    std::optional<int> exit_code;  // with which it is about to end
    bool was_refused = false;
    std::string lost_rank;
    int beats_with_lost_rank = 0;
    bool has_failed_ranks = false;  // its runner has noticed
    bool sick = false;              // fails everything
    bool remote = false;            // sees no directory of the coordinator
    bool was_connected = false;
    int life_that_started_it = 0;
    std::shared_ptr<Link> link;
    std::int64_t heard_at = 0;
    std::int64_t reached_at = 0;  // the coordinator, last
    int failed_connections = 0;   // since then

    // Its runner.
    std::optional<AttemptId> trained;
    std::int64_t began_at = 0;
    bool is_fetching = false;  // the checkpoint to resume from
    bool is_held_up = false;   // by a lost rank, so that its attempt does not end
    std::optional<Cause> stop_cause;
    std::optional<AttemptEnded> end_to_report;  // of what was trained; on its way to the core

    // What it owes the coordinator.
    std::vector<AttemptId> held;              // leases that have neither ended nor been given back, in order
    std::map<AttemptId, int> unacknowledged;  // attempts whose end the core knows, and heartbeats since
    std::set<AttemptId> reported;             // ends that were sent over this connection
    std::set<AttemptId> epochs_due;           // attempts of which an epoch was reported without a connection
    bool said_goodbye = false;                // on this connection
};

}  // namespace orchestrate::test
