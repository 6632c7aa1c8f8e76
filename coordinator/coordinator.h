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
#include "coordinator/database_lock.h"
#include "coordinator/job_store.h"
#include "coordinator/progress_display.h"
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
    struct Worker;
    struct Job;

    boost::asio::awaitable<void> drive(const Study& study);
    boost::asio::awaitable<void> tick();
    boost::asio::awaitable<void> watch_signals();
    boost::asio::awaitable<void> run_stage(const Study& study, int position, const Stage& stage,
                                           const JobConfig& baseline);
    boost::asio::awaitable<void> dismiss_workers();

    boost::asio::awaitable<void> serve(std::shared_ptr<Connection> connection, Hello hello);
    boost::asio::awaitable<void> serve_worker(std::shared_ptr<Connection> connection, Hello hello);
    boost::asio::awaitable<void> serve_pilot(std::shared_ptr<Connection> connection, Hello hello);
    boost::asio::awaitable<void> serve_person(std::shared_ptr<Connection> connection);

    void set_up_sites(const Study& study);
    void recover();
    void on_worker_message(Worker& worker, const Message& message);
    void on_attempt_ended(Worker& worker, const AttemptEnded& ended);
    void end_attempt(const AttemptEnded& ended);
    void on_exit(const std::string& worker, const SiteWorkerExit& exit);
    void lose_worker(const std::string& name, Cause cause, const std::string& why);
    void check_silence();
    void act();
    void assign(std::int64_t job, const std::string& worker);
    bool stage_done() const;
    void stage_changed();
    std::string site_of(const std::string& worker) const;
    StatusReply status() const;
    std::optional<double> remaining_seconds() const;

    CoordinatorOptions options_;
    ProgressDisplay& display_;
    DatabaseLock lock_;
    Log log_;
    JobStore store_;
    boost::asio::io_context io_{1};
    boost::asio::signal_set signals_;
    boost::asio::steady_timer tick_timer_;
    boost::asio::steady_timer stage_timer_;  // cancelled whenever a job or worker changes
    Scheduler scheduler_;
    std::unique_ptr<Server> server_;
    std::map<std::string, std::unique_ptr<Site>> sites_;
    std::unique_ptr<SlurmSites> slurm_;
    std::map<std::string, std::unique_ptr<Worker>> workers_;
    std::map<std::int64_t, Job> jobs_;  // of the stage that runs, and those recovered
    std::vector<std::int64_t> stage_jobs_;
    std::string study_name_;
    std::string stage_name_;
    std::chrono::steady_clock::time_point started_at_;
    std::vector<double> job_seconds_;  // of jobs that succeeded in this run
    std::int64_t done_before_ = 0;     // jobs of the stage that had succeeded already
    StudyState outcome_ = StudyState::finished;
    bool interrupted_ = false;
    bool dismissing_ = false;
    std::string broken_;  // why no job can run any more
};

}  // namespace orchestrate
