// The dispatcher: every decision about workers, attempts and their messages. Events go in (a worker connected, said
// something, ended; time has passed); what it does goes out through interfaces, and what depends on a change of the
// database leaves only after the commit that holds it. It knows no socket, no process and no clock, so that a
// simulation drives it through anything. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/log.h"
#include "common/protocol/message_checks.h"
#include "common/protocol/worker_messages.h"
#include "coordinator/dispatch/lost_attempt.h"
#include "coordinator/dispatch/machine_trouble.h"
#include "coordinator/dispatch/prefetch_policy.h"
#include "coordinator/dispatch/progress_watch.h"
#include "coordinator/dispatch/rate_limit.h"
#include "coordinator/dispatch/restart_pauses.h"
#include "coordinator/dispatch/scheduler.h"
#include "coordinator/dispatch/worker_health.h"
#include "coordinator/sites/site.h"
#include "coordinator/store/job_store.h"

namespace orchestrate {

// The other end of a worker's connection.
class Peer {
  public:
    virtual ~Peer() = default;
    // Once, before anything else is sent.
    virtual void answer(const HelloReply& reply) = 0;
    virtual void send(const CoordinatorToWorker& message) = 0;
    virtual void close() = 0;
};

// What the dispatcher needs of the world.
class DispatcherEnv {
  public:
    virtual ~DispatcherEnv() = default;
    virtual std::chrono::steady_clock::time_point now() = 0;
    // Tells the user.
    virtual void note(const std::string& line) = 0;
    // The same, about a job.
    virtual void note_job(JobId /*job*/, const std::string& line) { note(line); }
    // Whether a process that this host knows has ended.
    virtual bool has_ended(const std::string& host, std::int64_t process) = 0;
    // What an attempt does about checkpoints; `stored` are those the database knows of its job.
    virtual CheckpointPlan plan_checkpoints(const AttemptId& attempt,
                                            std::vector<StoredCheckpoint> stored) = 0;
    // Of what the current attempt and earlier ones have written only `kept` is still needed.
    virtual void keep_checkpoints(const AttemptId& current, const std::vector<StoredCheckpoint>& kept) = 0;
    // The same for a command, of whose files nobody is told: an attempt begins.
    virtual void keep_newest_attempts(const AttemptId& /*current*/) {}
    virtual void remove_checkpoints(JobId job) = 0;
    // Jobs that have checkpoints lying about.
    virtual std::vector<JobId> jobs_with_checkpoints() = 0;
    // The cluster's word on how a site ended, "TIMEOUT"; empty: it has none.
    virtual std::string allocation_state(const std::string& site) = 0;
};

struct DispatcherOptions {
    std::string program_version;
    std::chrono::milliseconds heartbeat_interval{4000};
    RetryLimits retry_limits;        // of studies without their own
    std::string log_folder;          // named to users
    std::string models_folder = "";  // where workers save trained models, absolute
};

class Dispatcher : private JobObserver {
  public:
    // A worker that is connected, or was and may come back.
    struct Worker {
        WorkerRecord record;
        std::filesystem::path log_folder;
        std::shared_ptr<Peer> connection;  // null while it is away
        std::chrono::steady_clock::time_point last_heard;
        std::optional<AttemptId> running;
        std::deque<AttemptId> queued;                    // leased to it, to begin afterwards
        std::chrono::steady_clock::time_point began_at;  // when the one that runs could begin
        bool stalls = false;      // it has run for too long to have others wait behind it
        bool is_overdue = false;  // what it runs takes much longer than its study expects, and that was said
        bool draining = false;    // ends after what it holds
        TrainingProgress progress;
        std::string goodbye_reason;   // why it said goodbye
        int refusals = 0;             // messages that were refused
        RateLimit notes{20, 0.1};     // that it asks to be shown to users
        RateLimit log_lines{100, 1};  // about messages that changed nothing
        // Since when it holds nothing and is asked, or has said, to end.
        std::optional<std::chrono::steady_clock::time_point> leaving_since;
        std::optional<SiteWorkerExit> exit;  // its process has ended
        std::chrono::steady_clock::time_point exited_at;
        bool killed = false;  // its site was told to kill it
        // Why it was killed: it keeps its slots and its attempts until it is known to be dead, or a limit is over.
        std::optional<LossEvidence> condemned;
        std::chrono::steady_clock::time_point condemned_at;
    };
    // An attempt that has begun and not ended: who has it, and since when.
    struct Assignment {
        AttemptId attempt;
        std::string worker;  // to which it is leased
        std::chrono::steady_clock::time_point began_at;
        bool began_before_restart = false;  // began_at is when this coordinator read of it
        double share_resumed = 0;           // of the job's steps: done before this attempt began
        // Of an attempt from before a restart that no worker has claimed yet: when it is given up.
        std::optional<std::chrono::steady_clock::time_point> held_until;
    };

    // All must outlive it.
    Dispatcher(DispatcherOptions options, JobStore& store, DispatcherEnv& env, Log log);

    ~Dispatcher() override;
    Dispatcher(const Dispatcher&) = delete;
    Dispatcher& operator=(const Dispatcher&) = delete;

    // Whether commands of several ranks get workers of one process (Site::start), which need no MPI; otherwise they get those
    // that train, whose first rank runs them. To be called before jobs are added; false unless said.
    void run_commands_in_one_process(bool one_process) { commands_in_one_process_ = one_process; }

    // Attempts that do not get on for so long are ended; zero: never.
    void set_progress_limit(std::chrono::milliseconds limit) { progress_watch_.set_limit(limit); }
    // What an earlier coordinator left: attempts that may still run, workers that may still live.
    void recover();
    void add_site(const std::string& name, std::unique_ptr<Site> site, int slots);
    void remove_site(const std::string& name);
    // The site was told to end (`why`: "signal 15"): its workers are about to end, which is no fault of theirs or of
    // their jobs, and no other starts there.
    void site_leaves(const std::string& name, const std::string& why);
    const std::map<std::string, std::unique_ptr<Site>>& sites() const { return sites_; }
    // Jobs of a stage, which the store knows; those that wait are scheduled by schedule(). Studies have equal shares of the
    // slots; within a study lower priorities go first.
    void add_jobs(std::span<const JobId> jobs, const JobPlan& plan);
    void schedule(std::span<const JobId> jobs);
    // Lets a job be trained up to that epoch, ahead of those that have not begun.
    void promote(JobId job, std::int64_t pause_after_epoch);
    void set_retry_limits(StudyId study, const RetryLimits& limits) { retry_limits_[study] = limits; }
    // Of one job; those that take much longer are said. Zero: not known.
    void set_expected_duration(StudyId study, std::chrono::milliseconds expected) {
        expected_durations_[study] = expected;
    }
    void set_study_priority(StudyId study, int priority) { scheduler_.set_study_priority(study, priority); }
    // Nothing new of the study begins; what runs goes on.
    void hold_study(StudyId study, bool held);

    // False if the worker was refused, in words: nothing has changed, and its connection is to be closed.
    bool worker_connected(const std::shared_ptr<Peer>& connection, const Hello& hello);
    // Whether the connection is still the worker's; if not, it is of no more use. What the message holds, and what goes
    // wrong because of it, is that worker's affair alone. Throws SQLite::Exception if the database is damaged.
    bool worker_said(const std::string& name, const std::shared_ptr<Peer>& connection,
                     const WorkerReport& message);
    // The same for a message that was refused where it was decoded: it ends the attempt that it is about, if the worker
    // holds that one.
    bool worker_sent_invalid(const std::string& name, const std::shared_ptr<Peer>& connection,
                             const InvalidMessage& message);
    // The worker's connection is of no more use, since it sent what cannot be read, or what failed. One of which this is
    // said again and again is cut off.
    void worker_failed(const std::string& name, const std::shared_ptr<Peer>& connection,
                       const std::string& what);
    // Whether the worker may send or fetch files of the attempt that the request names: it is the current one of its job
    // and leased to that worker. A request about another worker's attempt is refused as worker_said() does.
    bool may_transfer(const std::string& name, const std::shared_ptr<Peer>& connection,
                      const TransferRequest& request);
    void worker_disconnected(const std::string& name, const std::shared_ptr<Peer>& connection);
    // The worker ends after what it runs; what it has not begun is given to others. False for one that is not there.
    bool drain(const std::string& worker, const std::string& why);
    // The same, and its slots stay empty. False also for one that is away.
    bool drain_for_good(const std::string& worker, const std::string& why);
    // Cancels a job that has not ended; one that runs is stopped, and keeps its worker until that says so. False if it
    // has ended.
    bool cancel(JobId job);
    // A job that has ended without a result waits again. False for any other.
    bool ask_again(JobId job);
    // A job that several studies share is counted, and held, with this one.
    void give_to_study(JobId job, StudyId study);
    // Workers are named SITE-NUMBER.
    static std::string site_of(const std::string& worker);
    // Time has passed; to be called several times a second.
    void tick();
    // A worker's result that was found on disk: false if it is not of the current attempt of that very job. One that is
    // refused ends its attempt.
    bool accept_leftover(AttemptEnded ended);
    // No more leases; workers are asked to end.
    void dismiss();

    // Writes what events have changed, then lets out what waited for that. False if the store is unavailable: then
    // nothing is dispatched until a later call succeeds.
    bool commit();
    // Whether commit() has something to do: changes to write, or messages and notes whose changes were written by another call
    // of the store.
    bool needs_commit() const { return store_.pending_changes() > 0 || !held_.empty(); }
    // The store could not be used otherwise.
    void pause(const std::string& why);
    bool paused() const { return paused_; }
    const std::string& pause_reason() const { return pause_reason_; }  // empty: it is not paused

    // As JobTable. They are told after the scheduler.
    void observe(JobObserver& observer) { observers_.push_back(&observer); }
    void stop_observing(JobObserver& observer) { std::erase(observers_, &observer); }
    const std::map<std::string, Worker>& workers() const { return workers_; }
    const std::unordered_map<JobId, Assignment>& assignments() const { return assignments_; }
    // Why a job waits, in one sentence.
    std::string why_waiting(JobId job) const;
    // How long a job takes on average, in seconds, of those that succeeded in this run; nothing: none has.
    std::optional<double> mean_job_seconds() const {
        return timed_jobs_ == 0 ? std::nullopt
                                : std::optional(job_seconds_ / static_cast<double>(timed_jobs_));
    }
    // Why no job can run any more; empty: they can.
    const std::string& broken() const { return broken_; }

  protected:
    // Does it once all that was changed before is on disk. A test puts an error here.
    virtual void after_commit(std::function<void()> action);
    // Ends what a lost worker held ahead. A test puts an error here, too.
    virtual void give_up_unbegun(const Worker& worker, const std::string& why);
    // Whether the attempt is leased to the worker, which alone may report about it. A test puts an error here, too.
    virtual bool holds(const Worker& worker, const AttemptId& attempt) const;
    // Tells the observers. A test puts an error here, too.
    virtual void tell_change(JobId job, JobState before, JobState now);
    // Forgets workers of a site that is gone which never connected; gives up those that take too long. A test puts an error
    // here, too.
    virtual void forget_starting_workers(const std::string& site);
    virtual void check_starting_workers();

  private:
    void act();
    void on_ended(Worker& worker, const AttemptEnded& ended);
    AttemptEnded as_seen_here(AttemptEnded ended, const Worker& worker);

    // dispatcher_leases.cpp: which worker holds which attempts.
    void assign(JobId job, const std::string& worker);
    void start_worker(const StartWorkerAt& start);
    void retract_leases(const RetractJobs& action);
    void retract(Worker& worker, std::vector<AttemptId> attempts);
    // The worker holds the attempt no longer; it goes on with the next it holds.
    void let_go(Worker& worker, const AttemptId& attempt);
    void begin_next(Worker& worker);
    void drain_worker(Worker& worker, const std::string& why);
    void job_changed(JobId job, JobState before, JobState now) override;
    SchedulableJob schedulable(JobId id) const;
    // A job that waits may be scheduled if a study has it, once the pause that its command has earned is over.
    void let_wait(JobId id);
    const RetryLimits& limits_of(const Job& job) const;
    void end_pauses();
    std::vector<AttemptId> current_of(const std::vector<AttemptId>& attempts,
                                      const std::string& worker) const;
    void check_stalls();

    // dispatcher_health.cpp
    void judge_health(const std::string& worker, JobId job, Cause cause);
    void try_elsewhere(const std::vector<JobId>& jobs);
    bool is_trouble_of_the_machine(const Worker& worker, const AttemptEnded& ended) const;
    // No worker of its host gets jobs for a while.
    void rest_host(Worker& worker, const AttemptEnded& ended);
    void end_rests();

    // dispatcher_peers.cpp: what peers may not send.
    std::optional<std::string> refusal_of(const Hello& hello) const;
    std::optional<std::string> refusal_of_stranger(const Hello& hello) const;
    std::optional<Refusal> refusal_of(const AttemptEnded& ended);
    std::optional<Refusal> refusal_of(const Worker& worker, const WorkerReport& message);
    std::optional<Refusal> refusal_of_report(const WorkerReport& message);
    std::optional<Refusal> refusal_of_other(const AttemptId& attempt) const;
    const Worker* connected_holder(const AttemptId& attempt) const;
    void refuse(Worker& worker, const std::string& type, const std::optional<AttemptId>& attempt,
                const Refusal& refusal);
    bool take_message(const std::string& name, const std::shared_ptr<Peer>& connection,
                      const std::string& type, const std::function<void(Worker&)>& take);
    void take_report(Worker& worker, const WorkerReport& message);
    void cut_off(const std::string& name, const std::string& why);
    void deliver(Worker& worker, const AttemptEnded& ended);
    void report_dropped_changes();

    Worker& welcome_worker(const std::shared_ptr<Peer>& connection, const Hello& hello);
    void on_worker_message(Worker& worker, const WorkerReport& message);
    void on_heartbeat(Worker& worker, const Heartbeat& heartbeat);
    void on_progress(Worker& worker, const AttemptProgress& progress);
    void on_goodbye(Worker& worker, const Goodbye& goodbye);
    void on_note(Worker& worker, const WorkerNote& said);
    void on_epoch(Worker& worker, const AttemptEpoch& epoch);
    void on_checkpoint(Worker& worker, const CheckpointWritten& written);
    void remove_needless_checkpoints(const AttemptId& current);
    void on_resume(Worker& worker, const AttemptResumed& resumed);
    // Ends an attempt by whatever cause and lets the job go on; false if it was not the current one.
    // `began`: not handed back.
    bool end_attempt(AttemptEnded ended, const std::string& worker, bool began = true);
    void note_end(const AttemptEnded& ended);
    void note_success(JobId job, const std::string& line);
    // How many successes had no line of their own in the second that is over.
    void note_unsaid_successes();
    void note_overdue();
    void on_exit(const std::string& site, const SiteWorkerExit& exit);
    void lose_worker(const std::string& name, LossEvidence evidence);
    void check_workers();
    void check_broken_sites();
    void kill_worker(const std::string& name);
    // Kills it; true if its site will tell when it is dead.
    bool condemn(Worker& worker, LossEvidence evidence);
    void ask_to_end(Worker& worker);
    void release_held_attempts();
    std::chrono::milliseconds lost_after() const { return 3 * options_.heartbeat_interval; }

    // After the commit of all that was changed before.
    void send(const Worker& worker, const CoordinatorToWorker& message);
    void note(const std::string& line);
    void note_job(JobId job, const std::string& line);

    DispatcherOptions options_;
    JobStore& store_;
    DispatcherEnv& env_;
    Log log_;
    Scheduler scheduler_;
    ProgressWatch progress_watch_;
    PrefetchPolicy prefetch_policy_;
    WorkerHealth worker_health_;
    WorkerHealth site_health_;
    MachineTrouble machine_trouble_;
    RestartPauses restart_pauses_;
    std::map<StudyId, RetryLimits> retry_limits_;                      // by study
    std::map<StudyId, std::chrono::milliseconds> expected_durations_;  // by study
    std::map<std::string, std::unique_ptr<Site>> sites_;
    std::map<std::string, int> site_slots_;
    std::int64_t earlier_workers_;  // numbers up to this one were given by earlier coordinators
    std::map<std::string, WorkerShape> launched_;  // workers that were started and have not ended, by name
    bool commands_in_one_process_ = false;
    std::set<std::string> cut_off_;  // names of workers
    // Workers that were sent SIGKILL and whose end was never confirmed (a suspended allocation): it may come to them yet, so
    // they get no jobs when they come back.
    std::set<std::string> given_up_;
    std::map<std::string, Worker> workers_;
    struct StartingWorker {
        std::chrono::steady_clock::time_point late_at;
        std::chrono::steady_clock::time_point give_up_at;
        bool killed = false;  // it was given up, and its exit is awaited
    };
    std::map<std::string, StartingWorker> starting_;  // have not connected yet
    std::set<std::string> children_;                  // workers whose site will tell when they have ended
    std::map<std::string, std::chrono::steady_clock::time_point> broken_sites_;  // since when
    std::map<std::string, std::string> leaving_sites_;                           // and why
    std::unordered_map<JobId, Assignment> assignments_;                          // of the jobs that run
    std::set<JobId> held_jobs_;                // with Assignment::held_until
    std::map<JobId, int> step_cancellations_;  // how often somebody has cancelled the Slurm step of a job
    std::vector<std::function<void()>> held_;
    std::set<AttemptId> unanswered_epochs_;  // attempts of which epochs wait for a commit
    // Successes said in this second; and those that were too many to say each.
    std::chrono::steady_clock::time_point successes_since_;
    int successes_said_ = 0;
    std::int64_t successes_unsaid_ = 0;
    double job_seconds_ = 0;  // sum over the jobs that succeeded
    std::int64_t timed_jobs_ = 0;
    std::string broken_;
    std::vector<JobObserver*> observers_;
    bool paused_ = false;
    std::string pause_reason_;
    bool dismissing_ = false;
};

}  // namespace orchestrate
