// A world in which studies, the dispatcher and the job store live through weeks of trouble in milliseconds: workers that
// crash, stop and come back, pilots that come and go, a network that delays, repeats, reorders and loses, coordinators
// that are killed while results wait on disk, clocks that jump, disks that are full. Everything follows from one number.
//
// Two kinds of invariants are checked all the time. Safety: nothing is lost and nothing is done twice. Liveness: work
// that can continue does so within kLivenessMilliseconds.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>

#include "coordinator/dispatch/dispatcher.h"
#include "tests/common/simulated_disk.h"
#include "tests/coordinator/simulation/worker_mutants.h"

namespace orchestrate::test {

// Diagnostics that the simulation must find.
enum class DeliberateBug {
    none,
    answers_before_the_commit,
    takes_results_of_old_attempts,
    never_misses_silent_workers,
    forgets_what_a_lost_worker_had_not_begun,
    swallows_what_recovery_changes,
    keeps_starting_workers_of_lost_sites,
};

class Simulation {
  public:
    // Of trouble, and then again so long at most until all is done.
    static constexpr std::int64_t kTroubleMilliseconds = 240'000;
    // A waiting job starts when there was room for it for so long, and a study advances when nothing of it was left to do.
    // Three missed heartbeats (12 s) and the wait for the death of a worker that was killed (20 s) lie within.
    static constexpr std::int64_t kLivenessMilliseconds = 45'000;

    // All workers have the mutant's core, if there is one.
    explicit Simulation(std::uint64_t seed, DeliberateBug bug = DeliberateBug::none,
                        const WorkerMutant* mutant = nullptr);
    ~Simulation();

    // Lives through it. Returns what went wrong, with the time; empty: nothing.
    std::string run();

    std::int64_t events() const { return events_; }
    // What workers held at most at a time, and how many jobs they handed back.
    std::size_t max_held() const { return max_held_; }
    std::int64_t handed_back() const { return handed_back_; }
    // Workers that failed everything.
    std::int64_t drained() const { return drained_; }
    // Results that were accepted from the disk, and pilots that died or left.
    std::int64_t recovered() const { return recovered_; }
    std::int64_t lost_pilots() const { return lost_pilots_; }
    // What happened, for a seed that is replayed.
    const std::vector<std::string>& story() const { return story_; }

  private:
    struct Link;    // one connection, seen from both ends
    struct Worker;  // one process
    struct Pilot;   // one allocation
    struct Coordinator;
    class Site;

    void at(std::int64_t delay, std::function<void()> what);
    void say(const std::string& line);
    void check(bool holds, const std::string& what);
    bool chance(double probability) {
        return std::uniform_real_distribution<double>()(random_) < probability;
    }
    std::int64_t between(std::int64_t low, std::int64_t high) {
        return std::uniform_int_distribution<std::int64_t>(low, high)(random_);
    }

    void start_coordinator();
    void take_up_studies();
    void kill_coordinator();
    void after_events();
    void advance_studies();
    void commit();
    void tick(int life);
    void cause_trouble();
    bool all_done() const;

    // simulation_checks.cpp: what must hold between any two commits, and within some time.
    void check_database();
    void check_causes();
    void check_liveness();
    bool has_room() const;

    // simulated_sites.cpp: pilots.
    void submit_pilot();
    void pilot_connects(const std::shared_ptr<Pilot>& pilot);
    void pilot_disconnects(const std::shared_ptr<Pilot>& pilot);
    void pilot_dies(const std::shared_ptr<Pilot>& pilot);
    void pilot_leaves(const std::shared_ptr<Pilot>& pilot);
    std::shared_ptr<Pilot> pilot_of(const std::string& worker) const;
    bool takes_down_workers(JobId job) const { return job == poisoned_job_; }

    // simulated_workers.cpp: processes, and the network between them and the coordinator.
    void start_worker(const std::string& name, Site& site);
    void worker_connects(const std::shared_ptr<Worker>& worker);
    void worker_reconnects(const std::shared_ptr<Worker>& worker);
    using ToWorker = std::variant<HelloReply, CoordinatorToWorker>;
    void worker_hears(const std::shared_ptr<Worker>& worker, const std::shared_ptr<Link>& link,
                      const ToWorker& message);
    void worker_beats(const std::shared_ptr<Worker>& worker);
    // `why`: empty if the worker itself has closed the connection.
    void worker_loses_link(const std::shared_ptr<Worker>& worker, const std::shared_ptr<Link>& link,
                           const std::string& why);
    void worker_ends_attempt(const std::shared_ptr<Worker>& worker, const AttemptId& attempt);
    void worker_gets_signal(const std::shared_ptr<Worker>& worker, int signal);
    void worker_exits(const std::shared_ptr<Worker>& worker, int signal, int exit_code = 0);
    void to_coordinator(const std::shared_ptr<Worker>& worker, const std::shared_ptr<Link>& link,
                        const WorkerReport& message);
    void to_worker(const std::shared_ptr<Link>& link, const ToWorker& message);
    void break_link(const std::shared_ptr<Link>& link);
    void tell_of_broken_link(const std::shared_ptr<Link>& link);
    // Runs now, or as soon as the process is continued.
    void unless_stopped(const std::shared_ptr<Worker>& worker, std::function<void()> what);

    std::mt19937_64 random_;
    DeliberateBug bug_;
    const WorkerMutant* mutant_;
    std::multimap<std::int64_t, std::function<void()>> future_;
    std::int64_t now_ = 0;
    std::int64_t clock_offset_ = 0;
    std::int64_t events_ = 0;
    std::int64_t next_process_ = 100;
    int lives_ = 0;
    bool prefetch_policy_ = false;
    bool pilots_only_ = false;
    std::optional<JobId> poisoned_job_;  // whoever runs it crashes
    int taken_down_ = 0;                 // workers, by it
    std::size_t max_held_ = 0;           // by one worker at a time
    std::int64_t handed_back_ = 0;       // jobs
    std::int64_t drained_ = 0;           // workers
    std::int64_t recovered_ = 0;         // results
    std::int64_t lost_pilots_ = 0;
    int submitted_pilots_ = 0;
    int failed_starts_ = 0;
    bool trouble_ = true;
    std::string wrong_;
    std::vector<std::string> story_;
    std::string database_name_;
    std::unique_ptr<StoreDatabase> disk_;  // what is left of the database when no coordinator lives
    std::unique_ptr<Coordinator> coordinator_;
    std::vector<std::shared_ptr<Pilot>> pilots_;         // that live
    SimulatedDisk workers_disk_;                         // with the results that await an acknowledgement
    std::map<JobId, std::string> job_identities_;        // of jobs that were leased
    std::vector<std::shared_ptr<Worker>> made_workers_;  // living and dead
    std::int64_t room_since_ = -1;  // since when a job waits although there is room; -1: none does
    std::map<std::string, std::int64_t> idle_since_;  // by study: since when nothing of it is left to do
    std::set<AttemptId> of_leaving_pilots_;           // attempts that ran when a pilot was told to end
    std::map<std::int64_t, std::shared_ptr<Worker>> processes_;  // that live
    std::map<JobId, std::int64_t> accepted_;  // by job: the attempt that a worker was thanked for
    std::set<AttemptId> leased_;              // attempts that a worker ever got
    std::set<AttemptId> begun_;               // attempts that a worker ever began
    std::map<AttemptId, Cause> ends_;         // of the attempts that a runner has ended
    std::set<AttemptId> classified_ends_;     // that the coordinator took or acknowledged
};

}  // namespace orchestrate::test
