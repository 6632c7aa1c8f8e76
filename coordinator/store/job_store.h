// The job store: the coordinator's only way into the database. What is decided (is this attempt still the current one?
// what becomes of its job?) is decided from memory, which nobody else changes; the database is the journal. Changes
// wait in order until commit() writes them in one transaction; what depends on them may only be told to others
// afterwards. Not thread-safe. Errors: StoreUnavailable (nothing is lost, try again), SQLite::Exception.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>

#include "common/job/attempt.h"
#include "common/protocol/messages.h"
#include "coordinator/database/state_directory.h"
#include "coordinator/database/store_file.h"
#include "coordinator/store/config_texts.h"
#include "coordinator/store/job_facts.h"
#include "coordinator/store/job_states.h"
#include "coordinator/store/job_table.h"
#include "coordinator/store/row_choice.h"
#include "coordinator/store/stored_ensembles.h"
#include "experiments/expansion/study.h"

namespace orchestrate {

class StageWriter;

enum class StudyState { running, finished, failed, interrupted, cancelled };
BOOST_DESCRIBE_ENUM(StudyState, running, finished, failed, interrupted, cancelled)

// What a study that begins does about jobs of its that ended without a result before.
enum class OldFailures {
    ask_again,  // they wait again: a user runs the study
    keep,  // they stay as they are, and the study paused if it was: a coordinator goes on where one was killed
};

// A study as the database has it.
struct StoredStudy {
    StudyId row;
    std::string name;
    std::filesystem::path file;
    std::string toml;
    StudyState state = StudyState::running;
    bool paused = false;
};

// What a worker needs of a job.
struct JobSpec {
    JobConfig config;
    JobPaths paths;
};

// An attempt that had not ended when the last coordinator did.
struct OpenAttempt {
    AttemptId id;
    std::string worker;
    std::string host;
    std::int64_t worker_process = 0;  // 0: unknown
};

struct WorkerRecord {
    std::int64_t row = 0;  // in table workers; 0: not stored yet
    std::string name;
    std::string host;
    std::int64_t process_id = 0;
    int ranks = 1;
    std::string device;
    std::string log_file;
    bool is_one_process = false;  // Hello::is_one_process
    std::string site = {};        // empty: it was started by hand
};

struct BegunAttempt {
    AttemptId id;
    std::string log_file;  // LOG_FOLDER/job-7-attempt-1.log, on the worker's host
};

// A change that the tables refuse.
struct DroppedChange {
    std::string why;
    std::optional<AttemptId>
        ended;  // whose result it was: the attempt has failed instead, and its job with it
};

class JobStore {
  public:
    // Throws UserError if the file is no results database or cannot be used.
    explicit JobStore(const std::filesystem::path& path, const StoreOptions& options = {});
    // In memory, for tests and measurements; the schema is prepared.
    explicit JobStore(SQLite::Database database, const StoreOptions& options = {});

    // "wal", "delete" or "memory", for the log.
    const std::string& journal_mode() const { return file_.journal_mode(); }

    // Writes all changes that wait. After StoreUnavailable they still wait. A change that the tables refuse is left out,
    // so that it does not keep the others from the disk: see take_dropped_changes().
    void commit();
    std::size_t pending_changes() const { return pending_.size(); }

    // Changes that commit() left out since the last call. None is expected: what comes from others is checked before.
    std::vector<DroppedChange> take_dropped_changes() { return std::exchange(dropped_, {}); }
    std::int64_t commits() const { return commits_; }

    // Those three write at once, together with what waits.
    StudyId begin_study(const Study& study, OldFailures old_failures = OldFailures::ask_again);
    void set_study_state(StudyId study, StudyState state);

    // Makes the stage's variants and jobs what the study says: new ones are added, those gone are hidden, and
    // cancelled if nothing else names them and they have not begun. Jobs that are in `failed_meanwhile` (since the study
    // began) are not asked for again. Returns the stage's jobs in order, without repetition; they are in jobs().
    std::vector<JobId> sync_stage(StudyId study, int position, const Stage& stage,
                                  const std::vector<Variant>& variants, const JobPaths& paths,
                                  OldFailures old_failures = OldFailures::ask_again,
                                  const std::set<JobId>& failed_meanwhile = {});

    // The next slice of the same, as StageWriter::write; at once on disk. Returns its jobs, without those of earlier
    // slices.
    std::vector<JobId> write_slice(StageWriter& writer, std::size_t max_jobs);

    // In the order in which they first came.
    std::vector<StoredStudy> studies();

    // The mean over seeds of a metric, per variant of a stage in order; nothing where no job succeeded. Runs that
    // collapsed onto one class do not count.
    std::vector<std::optional<double>> mean_metric(StudyId study, const std::string& stage,
                                                   const MetricKey& metric);

    // The differences of a metric to the stage's baseline, in pairs of runs, per variant in order; nothing for the
    // baseline and where there is no pair of results.
    std::vector<std::optional<MeasuredDifference>> differences(StudyId study, const std::string& stage,
                                                               const MetricKey& metric);

    // Of the variants of a stage, in order, their jobs.
    std::vector<std::vector<JobId>> jobs_of_variants(StudyId study, const std::string& stage);

    // Writes the ensembles of a stage whose jobs are done; returns what could not be computed, for users.
    std::vector<std::string> sync_ensembles(StudyId study, const std::string& stage,
                                            const std::vector<KnownEnsemble>& ensembles);

    // Takes part in the next commit.
    void set_study_paused(StudyId study, bool paused);

    // A user cancels a job that does not run. False, and no change, if it runs or has ended.
    bool cancel(JobId job);

    // Jobs waiting or running, of all studies.
    std::int64_t unfinished_jobs();

    std::vector<OpenAttempt> open_attempts();

    std::int64_t add_worker(const WorkerRecord& worker);
    // Workers that were connected when the last coordinator ended.
    std::vector<WorkerRecord> present_workers();
    // The largest number at the end of a worker's name.
    std::int64_t last_worker_number();
    void worker_left(std::int64_t worker_row, const std::string& why);

    // Read from the database: from the moment a job is given to a worker.
    JobSpec terms(JobId job);

    // Begins the next attempt of a waiting job. Throws std::logic_error if the job does not wait.
    BegunAttempt begin_attempt(JobId job, const WorkerRecord& worker,
                               const std::filesystem::path& log_folder);

    // Why a report cannot be of that attempt's job; nothing: it can, or the attempt is not the current one of its job.
    std::optional<Refusal> refusal_of(const AttemptEpoch& epoch);
    std::optional<Refusal> refusal_of(const AttemptEnded& ended);

    // `number`: as AttemptEpoch. False, and no change, if the attempt is not the job's current one.
    bool add_epoch(const AttemptId& attempt, const EpochMetrics& metrics, std::int64_t number = 0);
    // How many of the attempt's first epochs were added without a gap since this store was opened; 0 for one that is not
    // the job's current one.
    std::int64_t epochs_without_gap(const AttemptId& attempt);

    // Stores a checkpoint (the file's name) and forgets those that are needed no longer. False, and no change, if the
    // attempt is not the job's current one.
    bool add_checkpoint(const AttemptId& attempt, const StoredCheckpoint& checkpoint);

    // Of a job, the best to go on from first; with names of files.
    std::vector<StoredCheckpoint> checkpoints(JobId job);

    // The attempt goes on from a checkpoint: epochs after it are forgotten. One that could not be reported when it was
    // written is known from here on. False, and no change, if the attempt is not the job's current one.
    bool resume_attempt(const AttemptId& attempt, const ResumePoint& point);

    // The epochs of a job that have their metrics, in order.
    std::vector<EpochMetrics> epochs(JobId job);

    // Lets a job be trained up to that epoch; one that has paused before waits again. Returns its state; nothing for a job
    // that the database does not have.
    std::optional<JobState> promote(JobId job, std::int64_t pause_after_epoch);

    // Ends an attempt; what becomes of its job, by the table of job_states.h. Nothing, and no change, if it is not the
    // job's current one, or trained another job.
    std::optional<JobTransition> end_attempt(AttemptEnded ended, const RetryLimits& limits = {});

    // A job that has failed or is quarantined waits again, its failures forgotten. False, and no change, for others.
    bool ask_again(JobId job);

    // Calls `work(database)`, which only reads, with all changes written. Throws what `work` throws.
    template <class Work>
    auto read(Work work) {
        commit();
        return file_.read(work);
    }

    // As StoreFile.
    bool is_shared() const { return file_.is_shared(); }
    std::int64_t instructions() const { return file_.instructions(); }
    // Begins a copy that has all changes so far. Throws as commit().
    void begin_copy() {
        commit();
        file_.begin_copy();
    }
    std::optional<SQLite::Database> continue_copy(int pages) { return file_.continue_copy(pages); }

    // The jobs that were written or asked for since this store was opened.
    const JobTable& jobs() const { return jobs_; }
    // The same of one job, which is read from the database if nobody has asked for it yet. Null: the database does not have
    // it. Valid until the next call that adds a job.
    const Job* find_job(JobId job);
    // Whose the job is, and when it goes; it must be in jobs().
    void set_plan(JobId job, const JobPlan& plan) { jobs_.set_plan(job, plan); }
    // As JobTable.
    void observe(JobObserver& observer) { jobs_.observe(observer); }
    void stop_observing(JobObserver& observer) { jobs_.stop_observing(observer); }
    // Throws StoreUnavailable while nothing can be read.
    void check_readable();

    // Calls `work(database)` in a transaction of its own, with all changes written before. Throws as commit(), and what
    // `work` throws.
    template <class Work>
    auto write(Work work) {
        commit();
        return file_.transaction(work);
    }

    // False for a job that the database does not have.
    bool has_succeeded(JobId job);

  private:
    // Made twice it must be as made once: that a commit failed may also mean that only its answer was lost.
    using Change = std::function<void(StoreDatabase&)>;
    // What decisions about a job's attempts need, until it is over.
    struct AttemptRecord {
        std::int64_t last_attempt = 0;
        std::string identity;
        std::optional<std::vector<StoredCheckpoint>> checkpoints;  // nothing: not looked up yet
        std::optional<JobFacts> facts;                             // the same
        // Of the current attempt. From this epoch on, nothing of earlier attempts is left; nothing: not looked after yet.
        std::optional<std::int64_t> replaced_from;
        std::int64_t epochs_without_gap = 0;
    };
    struct PendingChange {
        Change apply;
        Change otherwise;                // in its place if the tables refuse it; may be empty
        std::optional<AttemptId> ended;  // as DroppedChange
    };

    void change(Change change) { this->change(PendingChange{std::move(change), {}, {}}); }
    void change(PendingChange change);
    void commit_one_by_one();
    // The database has them as cancelled.
    void were_cancelled(const std::vector<JobId>& jobs);
    const JobFacts& facts_of(JobId job, AttemptRecord& record);
    AttemptRecord& record_of(JobId job);  // throws std::logic_error if there is no such job
    AttemptRecord* record_if_current(const AttemptId& attempt);
    // Whether what earlier attempts reported from that epoch on must be removed before the epoch is stored.
    static bool replaces_earlier(AttemptRecord& record, const AttemptId& attempt,
                                 const EpochMetrics& metrics);
    std::vector<StoredCheckpoint>& checkpoints_of(JobId job, AttemptRecord& record);

    StoreFile file_;
    ConfigTexts config_texts_;
    std::vector<PendingChange> pending_;
    std::vector<DroppedChange> dropped_;
    JobTable jobs_;
    std::unordered_map<JobId, AttemptRecord> records_;
    std::vector<JobId> over_;  // jobs whose end waits for the commit; then their records are forgotten
    std::int64_t last_worker_row_ = 0;
    std::int64_t commits_ = 0;
};

}  // namespace orchestrate
