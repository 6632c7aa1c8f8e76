// One study on its way through the coordinator: its stages in order, each from the best of an earlier one, until all of
// its jobs are over. Several run at a time. It has no thread and no clock: whoever owns it calls advance() while
// may_go_on().
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "coordinator/dispatch/dispatcher.h"
#include "coordinator/store/job_counts.h"
#include "coordinator/store/job_store.h"
#include "coordinator/studies/search_halving.h"
#include "coordinator/studies/stage_start.h"
#include "experiments/expansion/study.h"

namespace orchestrate {

// What a study needs of the coordinator that runs it.
class StudyHost {
  public:
    virtual ~StudyHost() = default;
    // Tells the user something about a study.
    virtual void note_study(const std::string& study, const std::string& line) = 0;
    // Jobs of the study are about to be scheduled: there must be workers. Throws UserError if it cannot have them here.
    virtual void need_workers(const Study& study) = 0;
    // Does work that takes long, on another thread; afterwards the host asks its studies whether they may go on. The work
    // throws nothing, and needs neither the study's run nor the host. Here: at once.
    virtual void do_aside(const std::function<void()>& work) { work(); }
    // The database, for that work to read by a connection of its own; nothing: it cannot be opened twice.
    virtual std::optional<std::filesystem::path> readable_database() const { return std::nullopt; }
};

// Not thread-safe. What it is given must outlive it.
class StudyRun final : private JobObserver {
  public:
    // `row`: of the study in the database, begun there already.
    StudyRun(Study study, StudyId row, OldFailures old_failures, JobStore& store, Dispatcher& dispatcher,
             StudyHost& host, std::chrono::steady_clock::time_point now);
    ~StudyRun() override;
    StudyRun(const StudyRun&) = delete;
    StudyRun& operator=(const StudyRun&) = delete;

    // A stage whose variants are made, or whose jobs are written to the database, or scheduled, in slices: one by each call of
    // advance().
    struct Writing {
        std::string stage;
        std::int64_t jobs = 0;      // written
        std::int64_t expected = 0;  // in all; fewer if some are shared; 0: its variants are being made
    };
    // Nothing: advance() has done what there was to do.
    std::optional<Writing> writing() const;

    // Goes on as far as it can, but does not hold its caller for long: see writing(). Throws StoreUnavailable: nothing is
    // lost, call it again later. What else goes wrong ends the study.
    void advance();

    // Whether advance() would do something. Stays true until advance() has done it: whoever asks later misses nothing.
    bool may_go_on() const;

    // Ends it before its jobs are over; its state is written by the next advance().
    void end(StudyState how);
    // The same with an error of the user's, or what else broke.
    void fail(std::exception_ptr failure);

    const Study& study() const { return *study_; }
    StudyId row() const { return row_; }
    const std::string& stage_name() const { return stage_name_; }
    // Of the stage that runs, or the last.
    const JobCounts& stage_jobs() const { return stages_.at(stage_); }
    // Over all stages so far.
    bool has_job(JobId job) const { return all_jobs_.contains(job); }
    const std::unordered_set<JobId>& jobs() const { return all_jobs_.jobs(); }  // in no order
    // How it has ended, once that is in the database.
    std::optional<StudyState> outcome() const { return written_ ? outcome_ : std::nullopt; }
    bool has_ended() const { return written_; }
    // Only remembered here: whoever pauses it holds its jobs.
    bool is_paused() const { return paused_; }
    void set_paused(bool paused) { paused_ = paused; }
    std::exception_ptr failure() const { return failure_; }
    // Of the stages that have begun.
    const VariantsOfStages& variants_of_stages() const { return *variants_of_; }
    // By stage: what was said of what it starts from.
    const std::map<std::string, std::vector<std::string>>& starts_of_stages() const { return starts_; }
    std::chrono::steady_clock::time_point began_at() const { return began_at_; }
    std::optional<std::chrono::steady_clock::time_point> ended_at() const { return ended_at_; }
    void set_ended_at(std::chrono::steady_clock::time_point at) { ended_at_ = at; }

  private:
    void job_changed(JobId job, JobState before, JobState now) override;
    void go_through_stages();
    enum class Begin {
        done,
        later,   // by further calls
        awaits,  // what another thread makes
        ended,   // the study cannot continue, and has ended
    };
    // A stage's variants, while they are made.
    struct Expansion {
        StageStart start;
        std::atomic<bool> abandoned = false;
        std::atomic<bool> is_done = false;  // then what follows is there
        std::vector<Variant> variants;
        std::exception_ptr failure;
    };
    Begin begin_stage();
    void begin_expansion();
    void abandon_expansion();
    Begin take_expansion();
    void all_are_written();
    // Promotes what may be trained further.
    void promote();
    bool stage_is_over() const;
    void take_jobs(const std::vector<JobId>& jobs);
    void tell_notes();

    std::shared_ptr<const Study> study_;
    StudyId row_;
    OldFailures old_failures_;
    JobStore& store_;
    Dispatcher& dispatcher_;
    StudyHost& host_;
    std::chrono::steady_clock::time_point began_at_;
    std::optional<std::chrono::steady_clock::time_point> ended_at_;
    // Not changed while a stage's variants are made, which reads it.
    std::shared_ptr<VariantsOfStages> variants_of_ = std::make_shared<VariantsOfStages>();
    std::map<std::string, std::vector<std::string>> starts_;
    std::vector<JobCounts> stages_;  // one at least
    JobCounts all_jobs_;
    // Of whatever study, since this one began: a later stage that has them, too, does not repeat them.
    std::set<JobId> failed_meanwhile_;
    std::size_t stage_ = 0;
    std::shared_ptr<Expansion> expansion_;  // of a stage that begins
    std::unique_ptr<StageWriter> writer_;   // the same
    std::vector<JobId> to_schedule_;        // its jobs
    std::size_t scheduled_ = 0;             // so many of them
    std::int64_t jobs_expected_ = 0;
    bool stage_begun_ = false;
    bool beginning_was_told_ = false;
    bool changed_ = true;  // since advance() looked, or it has more to do
    bool paused_ = false;
    std::string stage_name_;
    std::optional<SearchHalving> halving_;  // of a stage that promotes
    std::set<std::string> told_starts_;     // what was said of stages' baselines and rows
    std::vector<std::string> notes_;        // told once what they speak of is done
    std::optional<StudyState> outcome_;
    bool written_ = false;
    std::exception_ptr failure_;
};

}  // namespace orchestrate
