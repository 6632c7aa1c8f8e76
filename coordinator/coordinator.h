// The coordinator: runs a study. It owns the job store, the dispatcher, the sites and the connections, all on one
// thread; messages and ticks become events for the dispatcher.
#pragma once

#include <chrono>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include "common/log.h"
#include "coordinator/checkpoint_folders.h"
#include "coordinator/database_lock.h"
#include "coordinator/dispatcher.h"
#include "coordinator/job_counts.h"
#include "coordinator/job_store.h"
#include "coordinator/parcel_store.h"
#include "coordinator/progress_display.h"
#include "coordinator/server.h"
#include "coordinator/slurm_site.h"
#include "experiments/study.h"

namespace orchestrate {

struct CoordinatorOptions {
    std::filesystem::path database;
    std::string program_version;
    std::chrono::milliseconds heartbeat_interval{4000};
    std::chrono::milliseconds tick_interval{200};
    RetryLimits retry_limits;
    int workers = 0;         // slots of this machine; 0: what the study says
    bool take_over = false;  // replace a silent coordinator on another host
};

class Coordinator : private Surroundings {
  public:
    // Takes the database's lock. Throws UserError if another coordinator has it.
    Coordinator(CoordinatorOptions options, ProgressDisplay& display);
    ~Coordinator() override;

    // Runs a study to its end. Returns how it ended: finished, failed (some jobs failed, or a stage had no
    // best variant), or interrupted by a signal.
    StudyState run(const Study& study);

  private:
    // coordinator.cpp: the study, the clock, the end.
    boost::asio::awaitable<void> drive(const Study& study);
    // The configuration that a stage starts from; nothing (said to the person) if no run of that earlier stage succeeded.
    boost::asio::awaitable<std::optional<JobConfig>> best_config(const Stage& stage,
                                                                 const std::vector<Variant>& variants);
    boost::asio::awaitable<std::vector<Variant>> chosen_rows(const Stage& stage,
                                                             const std::vector<Variant>& variants);
    boost::asio::awaitable<void> run_stage(const Study& study, int position, const Stage& stage,
                                           const std::vector<Variant>& variants);
    boost::asio::awaitable<void> dismiss_workers();
    boost::asio::awaitable<void> tick();
    boost::asio::awaitable<void> watch_signals();
    void set_up_sites(const Study& study);
    void beat_lock();
    bool stage_done() const;
    StatusReply status() const;
    std::optional<double> remaining_seconds() const;
    // After every event: wakes the stage if a job has changed, and sees to it that what was changed is committed
    // soon, in one transaction with what comes meanwhile.
    void settle();
    void commit_now();
    void fail(std::exception_ptr failure);
    // Repeats `work` while the store is unavailable. Throws once interrupted.
    template <class Work>
    auto when_store_works(Work work) -> boost::asio::awaitable<decltype(work())>;

    // coordinator_surroundings.cpp
    void accept_unacknowledged_results();

    // coordinator_connections.cpp
    boost::asio::awaitable<void> serve(std::shared_ptr<Connection> connection, Hello hello);
    boost::asio::awaitable<void> serve_worker(std::shared_ptr<Connection> connection, Hello hello);
    // Files that a worker sends or asks for; false for every other message.
    bool carry_files(const std::string& worker, const std::shared_ptr<Connection>& connection,
                     const Message& message);
    boost::asio::awaitable<void> serve_pilot(std::shared_ptr<Connection> connection, Hello hello);
    boost::asio::awaitable<void> serve_person(std::shared_ptr<Connection> connection);

    // Surroundings of the dispatcher.
    std::chrono::steady_clock::time_point now() override { return std::chrono::steady_clock::now(); }
    void note(const std::string& line) override { display_.note(line); }
    bool has_ended(const std::string& host, std::int64_t process) override;
    CheckpointPlan plan_checkpoints(const AttemptId& attempt, std::vector<StoredCheckpoint> stored) override;
    void remove_checkpoint(std::int64_t job, const StoredCheckpoint& checkpoint) override {
        checkpoints_.remove(job, checkpoint);
    }
    void remove_checkpoints(std::int64_t job) override;
    std::vector<std::int64_t> jobs_with_checkpoints() override { return checkpoints_.jobs(); }
    std::string allocation_state(const std::string& site) override;

    CoordinatorOptions options_;
    ProgressDisplay& display_;
    DatabaseLock lock_;
    std::chrono::steady_clock::time_point lock_beat_at_;
    bool lock_is_ours_ = true;
    Log log_;
    JobStore store_;
    CheckpointFolders checkpoints_;
    boost::asio::io_context io_{1};
    boost::asio::signal_set signals_;
    boost::asio::steady_timer tick_timer_;
    boost::asio::steady_timer stage_timer_;  // cancelled whenever a job changes
    boost::asio::steady_timer commit_timer_;
    bool commit_is_due_ = false;  // the timer runs
    std::size_t last_group_ = 0;  // changes of the last commit
    std::exception_ptr failure_;
    Dispatcher dispatcher_;
    std::unique_ptr<Server> server_;
    std::unique_ptr<SlurmSites> slurm_;
    JobCounts stage_jobs_;
    std::int64_t study_row_ = 0;
    std::string study_name_;
    bool runs_commands_ = false;  // the study's jobs are commands
    double checkpoint_interval_seconds_ = 60;
    std::string stage_name_;
    bool stage_promotes_ = false;  // it looks at every job that changes
    std::chrono::steady_clock::time_point started_at_;
    StudyState outcome_ = StudyState::finished;
    bool interrupted_ = false;
    bool dismissing_ = false;
    std::string broken_;  // why nothing can run any more
    // Files of workers that share no folder with this coordinator are read and written by a thread of their own, which
    // may wait for the disk.
    const std::unique_ptr<DurableFiles> files_ = make_system_files();
    ParcelStore parcels_;                         // of that thread
    std::set<std::string> workers_with_parcels_;  // told to the person
    boost::asio::thread_pool parcel_thread_{1};   // ends before what it uses
};

}  // namespace orchestrate
