// The dispatcher: every decision about workers, attempts and their messages. Events go in (a worker connected, said
// something, ended; time has passed); what it does goes out through interfaces, and what depends on a change of the
// database leaves only after the commit that holds it. It knows no socket, no process and no clock, so that a
// simulation drives it through anything. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/log.h"
#include "common/messages.h"
#include "coordinator/job_store.h"
#include "coordinator/lost_attempt.h"
#include "coordinator/progress_watch.h"
#include "coordinator/scheduler.h"
#include "coordinator/site.h"

namespace orchestrate {

// The other end of a worker's connection.
class Peer {
  public:
    virtual ~Peer() = default;
    virtual void send(const Message& message) = 0;
    virtual void close() = 0;
};

// What the dispatcher needs of the world.
class Surroundings {
  public:
    virtual ~Surroundings() = default;
    virtual std::chrono::steady_clock::time_point now() = 0;
    // Tells the person.
    virtual void note(const std::string& line) = 0;
    // Whether a process that this host knows has ended.
    virtual bool has_ended(const std::string& host, std::int64_t process) = 0;
    // What an attempt does about checkpoints; `stored` are those the database knows of its job.
    virtual CheckpointPlan plan_checkpoints(const AttemptId& attempt,
                                            std::vector<StoredCheckpoint> stored) = 0;
    virtual void remove_checkpoint(std::int64_t job, const StoredCheckpoint& checkpoint) = 0;
    virtual void remove_checkpoints(std::int64_t job) = 0;
    // Jobs that have checkpoints lying about.
    virtual std::vector<std::int64_t> jobs_with_checkpoints() = 0;
    // The cluster's word on how a site ended, "TIMEOUT"; empty: it has none.
    virtual std::string allocation_state(const std::string& site) = 0;
};

struct DispatcherOptions {
    std::string program_version;
    std::chrono::milliseconds heartbeat_interval{4000};
    RetryLimits retry_limits;
    std::string log_folder;          // named to people
    std::string models_folder = "";  // where workers save trained models, absolute
};

class Dispatcher {
  public:
    // A worker that is connected, or was and may come back.
    struct Worker {
        WorkerRecord record;
        std::filesystem::path log_folder;
        std::shared_ptr<Peer> connection;  // null while it is away
        std::chrono::steady_clock::time_point last_heard;
        std::optional<AttemptId> running;
        TrainingProgress progress;
        std::string farewell;                // why it said goodbye
        std::optional<SiteWorkerExit> exit;  // its process has ended
        std::chrono::steady_clock::time_point exited_at;
    };
    struct Job {
        StoredJob stored;
        int priority = 0;
        std::optional<AttemptId> attempt;
        std::chrono::steady_clock::time_point began_at;
        double share_resumed = 0;  // of its steps: done before this attempt began
        // Of an attempt from before a restart that no worker has claimed yet: when it is given up.
        std::optional<std::chrono::steady_clock::time_point> held_until;
    };

    // All must outlive it.
    Dispatcher(DispatcherOptions options, JobStore& store, Surroundings& surroundings, Log log);

    virtual ~Dispatcher() = default;
    Dispatcher(const Dispatcher&) = delete;
    Dispatcher& operator=(const Dispatcher&) = delete;

    // Attempts that do not get on for so long are ended; zero: never.
    void set_progress_limit(std::chrono::milliseconds limit) { progress_watch_.set_limit(limit); }
    // What an earlier coordinator left: attempts that may still run, workers that may still live.
    void recover();
    void add_site(const std::string& name, std::unique_ptr<Site> site, int slots);
    void remove_site(const std::string& name);
    const std::map<std::string, std::unique_ptr<Site>>& sites() const { return sites_; }
    // Jobs of a stage, as the store gives them; those that wait are scheduled by schedule().
    void add_jobs(const std::vector<StoredJob>& jobs, int priority);
    void schedule(const std::vector<StoredJob>& jobs);

    void worker_connected(const std::shared_ptr<Peer>& connection, const Hello& hello);
    // Whether the connection is still the worker's; if not, it is of no more use.
    bool worker_said(const std::string& name, const std::shared_ptr<Peer>& connection,
                     const Message& message);
    void worker_disconnected(const std::string& name, const std::shared_ptr<Peer>& connection);
    // Workers are named SITE-NUMBER.
    static std::string site_of(const std::string& worker);
    // Time has passed; to be called several times a second.
    void tick();
    // A worker's result that was found on disk.
    void accept_leftover(const AttemptEnded& ended) { end_attempt(ended, "the disk"); }
    // No more leases; workers are asked to end.
    void dismiss();

    // Writes what events have changed, then lets out what waited for that. False if the store is unavailable: then
    // nothing is dispatched until a later call succeeds.
    bool commit();
    // The store could not be used otherwise.
    void pause(const std::string& why);
    bool paused() const { return paused_; }

    // Whether a job has changed its state since the last call.
    bool take_changed() { return std::exchange(changed_, false); }
    const std::map<std::string, Worker>& workers() const { return workers_; }
    const std::map<std::int64_t, Job>& jobs() const { return jobs_; }
    // Of jobs that succeeded in this run.
    const std::vector<double>& job_seconds() const { return job_seconds_; }
    // Why no job can run any more; empty: they can.
    const std::string& broken() const { return broken_; }

  protected:
    // Does it once all that was changed before is on disk. A test puts a mistake here.
    virtual void after_commit(std::function<void()> action);

  private:
    void act();
    void assign(std::int64_t job, const std::string& worker);
    Worker& welcome_worker(const std::shared_ptr<Peer>& connection, const Hello& hello);
    void on_worker_message(Worker& worker, const Message& message);
    void on_checkpoint(Worker& worker, const CheckpointWritten& written);
    void on_resume(Worker& worker, const AttemptResumed& resumed);
    // Ends an attempt by whatever cause and lets the job go on; false if it was not the current one.
    bool end_attempt(const AttemptEnded& ended, const std::string& worker);
    void on_exit(const std::string& site, const SiteWorkerExit& exit);
    void lose_worker(const std::string& name, LossEvidence evidence);
    void check_workers();
    void check_starting_workers();
    void stop_worker_now(const std::string& name);
    void release_held_attempts();
    std::chrono::milliseconds lost_after() const { return 3 * options_.heartbeat_interval; }

    // After the commit of all that was changed before.
    void send(const Worker& worker, const Message& message);
    void note(const std::string& line);

    DispatcherOptions options_;
    JobStore& store_;
    Surroundings& surroundings_;
    Log log_;
    Scheduler scheduler_;
    ProgressWatch progress_watch_;
    std::map<std::string, std::unique_ptr<Site>> sites_;
    std::map<std::string, Worker> workers_;
    std::map<std::string, std::chrono::steady_clock::time_point>
        starting_;                      // by worker; where that is watched
    std::map<std::int64_t, Job> jobs_;  // of the stages so far, and those recovered
    std::vector<std::function<void()>> held_;
    std::vector<double> job_seconds_;
    std::string broken_;
    bool changed_ = false;
    bool paused_ = false;
    bool dismissing_ = false;
};

}  // namespace orchestrate
