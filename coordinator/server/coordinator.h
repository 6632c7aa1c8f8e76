// The coordinator: runs studies, several at a time. It owns the job store, the dispatcher, the sites and the connections,
// all on one thread; messages and ticks become events for the dispatcher, and what they change lets the studies go on.
// Studies come from whoever starts it and from users who submit them; it ends when all have ended.
#pragma once

#include <chrono>
#include <deque>
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

#include "common/base/log.h"
#include "common/job/ids.h"
#include "common/protocol/channel.h"
#include "coordinator/artifacts/checkpoint_folders.h"
#include "coordinator/artifacts/upload_store.h"
#include "coordinator/database/database_lock.h"
#include "coordinator/database/database_owner.h"
#include "coordinator/dispatch/dispatcher.h"
#include "coordinator/report/progress_display.h"
#include "coordinator/report/why.h"
#include "coordinator/server/loop_watch.h"
#include "coordinator/server/result_reader.h"
#include "coordinator/server/server.h"
#include "coordinator/sites/pilot_supervisor.h"
#include "coordinator/store/job_store.h"
#include "coordinator/studies/study_run.h"
#include "experiments/expansion/study.h"

namespace orchestrate {

class PilotSite;

struct CoordinatorOptions {
    std::filesystem::path database;
    std::string program_version;
    std::chrono::milliseconds heartbeat_interval{4000};
    std::chrono::milliseconds tick_interval{200};
    RetryLimits retry_limits;
    int workers = 0;         // slots of this machine; 0: what the first study says
    bool take_over = false;  // replace a silent coordinator on another host
    bool reachable = false;  // listen on all addresses of this host; with Slurm it always does
    bool stay = false;       // wait for studies until a signal comes
};

// Which studies of the database a coordinator goes on with besides those it is given.
enum class Unfinished {
    left_running,  // whose coordinator was killed
    interrupted,   // also those that were interrupted
};

class Coordinator : private DispatcherEnv, private StudyHost {
  public:
    // Takes the database's lock. Throws DatabaseHeld if another coordinator has it.
    Coordinator(CoordinatorOptions options, ProgressDisplay& display);
    ~Coordinator() override;

    // A study to be run; before run(). What failed or was cancelled before is tried again, unless its coordinator was
    // killed in the middle: then it goes on, and true is returned.
    bool add(Study study);
    // One as it was stored. Throws UserError if there is none of that name, or it cannot be read any more.
    void add_stored(const std::string& study);
    // Lets the studies that were given so far continue that are paused.
    void lift_pauses();
    // Studies of the database that were not given, as they were stored. Returns their names; those that cannot be read
    // any more are said to the user.
    std::vector<std::string> add_unfinished(Unfinished which);

    // Names of studies whose coordinator was killed, and that were not given.
    std::vector<std::string> left_running();

    // Until all studies have ended, those submitted meanwhile too, or a signal comes.
    void run();

    // How a study has ended. Throws what ended it, if it was an error or something broke.
    StudyState outcome(const std::string& study) const;
    bool interrupted() const { return interrupted_; }
    // In the order in which they came.
    std::vector<std::string> studies() const;

  private:
    // coordinator.cpp: the clock, the end.
    boost::asio::awaitable<void> drive();
    // Lets the studies go on as far as they can. False while the store is unavailable.
    bool advance_studies();
    boost::asio::awaitable<void> dismiss_workers();
    boost::asio::awaitable<void> wait_for_followers();
    boost::asio::awaitable<void> tick();
    boost::asio::awaitable<void> watch_signals();
    void end_studies();
    // Throws UserError if the database is this coordinator's no more; see DatabaseLock.
    void beat_lock();
    void note_writing();
    void renew_claim();
    void release_claim();
    // Replaces the failure by what has happened to the database's file, if that is why.
    void name_lost_database();
    bool work_is_left() const;
    bool studies_may_go_on() const;
    // After every event: lets the studies go on if they may, and sees to it that what was changed is committed
    // soon, in one transaction with what comes meanwhile.
    void after_events();
    void wake() { wake_timer_.cancel(); }
    void commit_now();
    void fail(std::exception_ptr failure);

    // coordinator_studies.cpp
    StudyRun* find_run(const std::string& study) const;  // the newest of that name; null: there is none
    StudyRun& begin(Study study, OldFailures old_failures);
    // Reads and checks a study's text on another thread.
    boost::asio::awaitable<Study> load_aside(std::string toml, std::filesystem::path file);
    boost::asio::awaitable<ClientReply> submit(SubmitStudy submission);
    void add_event(const std::string& study, const std::string& line);
    void note_study(const std::string& study, const std::string& line) override;
    void need_workers(const Study& study) override;
    void do_aside(const std::function<void()>& work) override;
    std::optional<std::filesystem::path> readable_database() const override {
        return store_.is_shared() ? std::optional(options_.database) : std::nullopt;
    }
    void update_progress_limit();
    void keep_pilots();

    // coordinator_status.cpp
    StatusReply status(std::int64_t events_after) const;
    StudyStatus status_of(const StudyRun& run) const;
    std::optional<double> remaining_seconds(const StudyRun& run) const;

    // coordinator_commands.cpp
    class LiveControl;
    boost::asio::awaitable<ClientReply> control(ControlRequest request);
    void hold(StudyRun& run, bool paused);
    // A job that a paused study shares with one that runs belongs to that one; it is held only while nobody else wants it.
    // To be called when a study was paused, has begun a stage, or has ended.
    void share_jobs_of_paused_studies();

    // coordinator_reading.cpp: what users ask of the database, answered on other threads.
    // Nothing if other connections can read the database itself; otherwise a copy of a few seconds ago.
    boost::asio::awaitable<std::shared_ptr<Snapshot>> snapshot();
    boost::asio::awaitable<std::shared_ptr<Snapshot>> make_snapshot();
    template <class Reply>
    boost::asio::awaitable<ResultReader::Frame> read(std::function<Reply(SQLite::Database&)> find);
    boost::asio::awaitable<ResultReader::Frame> why_job(std::string job);
    void add_live_facts(WhyFacts& facts) const;

    // coordinator_surroundings.cpp
    // Opens the server and recovers what an earlier coordinator left; nothing if that is done. Throws StoreUnavailable:
    // then call it again.
    void open_server(bool all_addresses);
    void add_local_site(const Study& study);
    void accept_unacknowledged_results();
    void check_cluster(const Study& study) const;

    // coordinator_connections.cpp
    boost::asio::awaitable<void> serve(std::shared_ptr<Connection> connection, Hello hello);
    boost::asio::awaitable<void> serve_worker(std::shared_ptr<Connection> connection, Hello hello);
    // Files that a worker sends or asks for: answered by another thread, in order.
    using Transfers = std::shared_ptr<int>;  // pieces of files that wait for their answer, of one connection
    void transfer(const std::string& worker, const std::shared_ptr<Peer>& peer,
                  const ChannelToWorker& channel, const Transfers& transfers, const TransferRequest& request);
    std::string refusal_of_pilot(const Hello& hello) const;
    void on_pilot_message(const std::string& name, PilotSite& site, const PilotToCoordinator& message);
    boost::asio::awaitable<void> serve_pilot(std::shared_ptr<Connection> connection, Hello hello);
    boost::asio::awaitable<void> serve_user(std::shared_ptr<Connection> connection);
    // `request` must live until the answer is there.
    boost::asio::awaitable<ResultReader::Frame> answer(const ClientRequest& request);
    boost::asio::awaitable<ResultReader::Frame> encode(boost::asio::awaitable<ClientReply> pending);

    // DispatcherEnv of the dispatcher.
    std::chrono::steady_clock::time_point now() override { return std::chrono::steady_clock::now(); }
    void note(const std::string& line) override { note_study("", line); }
    void note_job(JobId job, const std::string& line) override;
    bool has_ended(const std::string& host, std::int64_t process) override;
    CheckpointPlan plan_checkpoints(const AttemptId& attempt, std::vector<StoredCheckpoint> stored) override;
    void keep_checkpoints(const AttemptId& current, const std::vector<StoredCheckpoint>& kept) override {
        checkpoints_.keep(current, kept);
    }
    void keep_newest_attempts(const AttemptId& current) override {
        checkpoints_.keep_newest_attempts(current);
    }
    void remove_checkpoints(JobId job) override;
    std::vector<JobId> jobs_with_checkpoints() override { return checkpoints_.jobs(); }
    std::string allocation_state(const std::string& site) override;

    CoordinatorOptions options_;
    ProgressDisplay& display_;
    DatabaseLock lock_;
    std::chrono::steady_clock::time_point lock_beat_at_;
    std::chrono::steady_clock::time_point claim_renewed_at_;
    bool lock_is_ours_ = true;
    std::chrono::steady_clock::time_point writing_said_at_;
    Log log_;
    LoopWatch watch_;
    JobStore store_;
    DatabaseClaim claim_;
    CheckpointFolders checkpoints_;
    boost::asio::io_context io_{1};
    // Reads and checks studies that are submitted, with their data; makes the variants of stages.
    boost::asio::thread_pool loader_{1};
    boost::asio::signal_set signals_;
    boost::asio::steady_timer tick_timer_;
    boost::asio::steady_timer wake_timer_;  // cancelled whenever a study may go on
    boost::asio::steady_timer commit_timer_;
    bool commit_is_due_ = false;  // the timer runs
    std::size_t last_group_ = 0;  // changes of the last commit
    std::exception_ptr failure_;
    Dispatcher dispatcher_;
    std::unique_ptr<Server> server_;
    bool recovered_ = false;                 // only then does the server accept connections
    bool listens_on_all_addresses_ = false;  // server_ does
    std::optional<ClusterConfig> cluster_;   // of the sites: what the first study says
    std::unique_ptr<PilotSupervisor> slurm_;
    std::vector<std::unique_ptr<StudyRun>> runs_;  // in the order in which they came
    std::deque<Event> events_;                     // the newest
    std::int64_t last_event_ = 0;
    int users_ = 0;     // connected
    int controls_ = 0;  // changes that users have asked for and that are being made
    bool interrupted_ = false;
    bool ending_ = false;
    std::string broken_;  // why nothing can run any more
    // Files of workers that share no folder with this coordinator are read and written by a thread of their own, which
    // may wait for the disk.
    const std::unique_ptr<DurableFiles> files_ = make_system_files();
    UploadStore uploads_;                         // of that thread
    std::set<std::string> workers_with_uploads_;  // told to the user
    boost::asio::thread_pool upload_thread_{1};   // ends before what it uses
    std::shared_ptr<Snapshot> snapshot_;          // the newest; null: none was needed yet
    bool snapshot_is_being_made_ = false;
    ResultReader reader_;  // its threads end before what they use
};

}  // namespace orchestrate
