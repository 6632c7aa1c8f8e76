// The coordinator: runs a study. It owns the job store, the scheduler, the sites and the connections, all on
// one thread; messages and ticks become events for the scheduler, its actions become leases, starts and
// stops.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "common/log.h"
#include "coordinator/checkpoint_folders.h"
#include "coordinator/database_lock.h"
#include "coordinator/job_store.h"
#include "coordinator/lost_attempt.h"
#include "coordinator/progress_display.h"
#include "coordinator/progress_watch.h"
#include "coordinator/scheduler.h"
#include "coordinator/server.h"
#include "coordinator/sites.h"
#include "coordinator/slurm_site.h"
#include "experiments/study.h"

namespace orchestrate {

struct CoordinatorOptions {
    std::filesystem::path database;
    std::string program_version;
    std::chrono::milliseconds heartbeat_interval{4000};
    std::chrono::milliseconds tick_interval{200};
    int maximum_failures = 3;  // crashes of one job before it is given up
    int workers = 0;           // slots of this machine; 0: what the study says
    bool take_over = false;    // replace a silent coordinator on another host
};

class Coordinator {
  public:
    // Takes the database's lock. Throws UserError if another coordinator has it.
    Coordinator(CoordinatorOptions options, ProgressDisplay& display);
    ~Coordinator();

    // Runs a study to its end. Returns how it ended: finished, failed (some jobs failed, or a stage had no
    // best variant), or interrupted by a signal.
    StudyState run(const Study& study);

  private:
    // A worker that is connected, or was and may come back.
    struct Worker {
        WorkerRecord record;
        std::filesystem::path log_folder;
        std::shared_ptr<Connection> connection;  // null while it is away
        std::chrono::steady_clock::time_point last_heard;
        std::optional<AttemptId> running;
        TrainingProgress progress;
        std::string farewell;                // why it said goodbye
        std::optional<SiteWorkerExit> exit;  // its process has ended
        std::chrono::steady_clock::time_point exited_at;
    };
    struct Job {
        StoredJob stored;
        std::optional<AttemptId> attempt;
        std::chrono::steady_clock::time_point began_at;
        double share_resumed = 0;  // of its steps: done before this attempt began
        // Of an attempt from before a restart that no worker has claimed yet: when it is given up.
        std::optional<std::chrono::steady_clock::time_point> held_until;
    };

    // coordinator.cpp: the study, the clock, the end.
    boost::asio::awaitable<void> drive(const Study& study);
    // The configuration that a stage starts from; nothing (said to the person) if no run of that earlier stage succeeded.
    std::optional<JobConfig> best_config(const Stage& stage, const std::vector<Variant>& variants);
    std::vector<Variant> chosen_rows(const Stage& stage, const std::vector<Variant>& variants);
    boost::asio::awaitable<void> run_stage(const Study& study, int position, const Stage& stage,
                                           const std::vector<Variant>& variants);
    boost::asio::awaitable<void> dismiss_workers();
    boost::asio::awaitable<void> tick();
    boost::asio::awaitable<void> watch_signals();
    void set_up_sites(const Study& study);
    void beat_lock();
    void act();
    void assign(std::int64_t job, const std::string& worker);
    bool stage_done() const;
    StatusReply status() const;
    std::optional<double> remaining_seconds() const;

    // coordinator_recovery.cpp: what an earlier coordinator or attempt left.
    void accept_unacknowledged_results();
    void recover();
    void release_held_attempts();
    CheckpointPlan plan_checkpoints(const AttemptId& attempt);

    // coordinator_sessions.cpp: connections, attempts, workers that come and go.
    boost::asio::awaitable<void> serve(std::shared_ptr<Connection> connection, Hello hello);
    boost::asio::awaitable<void> serve_worker(std::shared_ptr<Connection> connection, Hello hello);
    boost::asio::awaitable<void> serve_pilot(std::shared_ptr<Connection> connection, Hello hello);
    boost::asio::awaitable<void> serve_person(std::shared_ptr<Connection> connection);
    Worker& welcome_worker(const std::shared_ptr<Connection>& connection, const Hello& hello);
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
    std::string site_of(const std::string& worker) const;
    std::chrono::milliseconds lost_after() const { return 3 * options_.heartbeat_interval; }

    CoordinatorOptions options_;
    ProgressDisplay& display_;
    DatabaseLock lock_;
    std::chrono::steady_clock::time_point lock_beat_at_;
    Log log_;
    JobStore store_;
    CheckpointFolders checkpoints_;
    boost::asio::io_context io_{1};
    boost::asio::signal_set signals_;
    boost::asio::steady_timer tick_timer_;
    boost::asio::steady_timer stage_timer_;  // cancelled whenever a job or worker changes
    Scheduler scheduler_;
    ProgressWatch progress_watch_;
    std::unique_ptr<Server> server_;
    std::map<std::string, std::unique_ptr<Site>> sites_;
    std::unique_ptr<SlurmSites> slurm_;
    std::map<std::string, Worker> workers_;
    std::map<std::string, std::chrono::steady_clock::time_point> starting_;  // on this machine, by worker
    std::map<std::int64_t, Job> jobs_;  // of the stages so far, and those recovered
    std::vector<std::int64_t> stage_jobs_;
    std::int64_t study_row_ = 0;
    std::string study_name_;
    double checkpoint_interval_seconds_ = 60;
    std::string stage_name_;
    std::chrono::steady_clock::time_point started_at_;
    std::vector<double> job_seconds_;  // of jobs that succeeded in this run
    StudyState outcome_ = StudyState::finished;
    bool interrupted_ = false;
    bool dismissing_ = false;
    std::string broken_;  // why no job can run any more
};

}  // namespace orchestrate
