#include "coordinator/study_run.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "common/counted.h"
#include "common/error.h"
#include "coordinator/stage_ensembles.h"
#include "coordinator/stored_stages.h"

namespace orchestrate {

namespace {

// What advance() does at a time: some ten milliseconds of work.
constexpr std::size_t kJobsAtATime = 2000;

RetryLimits retry_limits(const Retries& retries) {
    return {retries.worker_crashed + 1, retries.out_of_memory + 1, retries.diverged + 1,
            retries.user_error + 1};
}

}  // namespace

StudyRun::StudyRun(Study study, std::int64_t row, OldFailures old_failures, JobStore& store,
                   Dispatcher& dispatcher, StudyHost& host, std::chrono::steady_clock::time_point now)
    : study_(std::move(study)),
      row_(row),
      old_failures_(old_failures),
      store_(store),
      dispatcher_(dispatcher),
      host_(host),
      began_at_(now),
      stages_(std::max<std::size_t>(1, study_.stages.size())) {
    dispatcher_.observe(*this);
}

StudyRun::~StudyRun() {
    dispatcher_.stop_observing(*this);
}

void StudyRun::advance() {
    changed_ = false;
    try {
        try {
            go_through_stages();
        } catch (const StoreUnavailable&) {
            throw;
        } catch (...) {
            fail(std::current_exception());
        }
        if (!outcome_) {
            return;
        }
        writer_.reset();
        to_schedule_ = {};
        if (!written_) {
            store_.set_study_state(row_, *outcome_);
            written_ = true;
        }
    } catch (const StoreUnavailable&) {
        changed_ = true;  // it is to be called again
        throw;
    }
}

void StudyRun::go_through_stages() {
    if (study_.stages.empty()) {
        end(StudyState::finished);
    }
    while (!outcome_) {
        if (!stage_begun_) {
            const Begin begun = begin_stage();
            changed_ = changed_ || begun == Begin::later;
            if (begun != Begin::done) {
                return;
            }
        }
        promote();
        if (!stage_is_over()) {
            return;
        }
        for (const auto& line :
             compute_ensembles(store_, study_, row_, study_.stages[stage_], variants_of_)) {
            host_.note_study(study_.name, line);
        }
        if (stage_ + 1 < study_.stages.size()) {
            ++stage_;
            stage_begun_ = false;
            continue;
        }
        const bool has_results = all_jobs_.in(JobState::succeeded) > 0;
        const bool all_were_cancelled = !has_results && all_jobs_.in(JobState::cancelled) > 0;
        outcome_ = all_jobs_.failed() > 0 ? StudyState::failed
                   : all_were_cancelled   ? StudyState::cancelled
                                          : StudyState::finished;
    }
}

bool StudyRun::may_go_on() const {
    return !written_ && changed_ && (outcome_ || !stage_begun_ || halving_ || stage_is_over());
}

// Jobs of earlier stages may have been asked for again.
bool StudyRun::stage_is_over() const {
    return (stage_ + 1 < study_.stages.size() ? stages_[stage_] : all_jobs_).unfinished() == 0;
}

void StudyRun::promote() {
    if (halving_) {
        halving_->advance();
    }
}

// Expands the stage that is next.
StudyRun::Begin StudyRun::prepare_stage() {
    const Stage& stage = study_.stages[stage_];
    StageStart start = start_of_stage(study_, stage, row_, variants_of_, store_);
    for (const auto& line : start.notes) {
        if (told_starts_.insert(line).second) {  // several stages may start from the best of one
            notes_.push_back(line);
        }
    }
    if (start.variants.empty()) {
        tell_notes();
        outcome_ = StudyState::failed;
        return Begin::ended;
    }
    auto& variants = variants_of_[stage.name] = std::move(start.variants);
    starts_[stage.name] = std::move(start.notes);
    stage_name_ = stage.name;
    halving_.reset();
    to_schedule_.clear();
    jobs_expected_ = 0;
    for (const auto& variant : variants) {
        jobs_expected_ += std::ssize(variant.runs);
    }
    dispatcher_.set_study_priority(row_, study_.priority);
    dispatcher_.set_retry_limits(row_, retry_limits(study_.retries));
    dispatcher_.set_expected_duration(
        row_, std::chrono::milliseconds(std::llround(study_.expected_job_minutes * 60'000)));
    writer_ = std::make_unique<StageWriter>(row_, static_cast<int>(stage_), stage, variants, study_.paths,
                                            FailedBefore{old_failures_, &failed_meanwhile_});
    beginning_was_told_ = false;
    return Begin::later;
}

// A slice of its jobs is written and known; after the last one, a slice of them is scheduled.
StudyRun::Begin StudyRun::begin_stage() {
    if (to_schedule_.empty() && !writer_) {
        if (prepare_stage() == Begin::ended) {
            return Begin::ended;
        }
    }
    if (writer_) {
        if (!writer_->is_done()) {
            auto jobs = store_.write_slice(*writer_, kJobsAtATime);
            dispatcher_.add_jobs(jobs, static_cast<int>(stage_), row_);
            take_jobs(jobs);
            std::move(jobs.begin(), jobs.end(), std::back_inserter(to_schedule_));
            if (!writer_->is_done()) {
                return Begin::later;
            }
        }
        all_are_written();
        writer_.reset();
        scheduled_ = 0;
    }
    const auto next = std::min(to_schedule_.size(), scheduled_ + kJobsAtATime);
    if (stage_jobs().unfinished() > 0) {
        dispatcher_.schedule({to_schedule_.begin() + static_cast<std::ptrdiff_t>(scheduled_),
                              to_schedule_.begin() + static_cast<std::ptrdiff_t>(next)});
    }
    scheduled_ = next;
    if (scheduled_ < to_schedule_.size()) {
        return Begin::later;
    }
    to_schedule_ = {};
    stage_begun_ = true;
    return Begin::done;
}

void StudyRun::all_are_written() {
    const Stage& stage = study_.stages[stage_];
    const auto& variants = variants_of_[stage.name];
    if (!stage.halving.rungs.empty()) {
        halving_.emplace(stage, variants, row_, store_, dispatcher_);
        promote();
    }
    if (!std::exchange(beginning_was_told_, true)) {
        const std::int64_t already_done = stage_jobs().in(JobState::succeeded);
        notes_.push_back(fmt::format("{}: {}, {}{}", stage.name, counted(std::ssize(variants), "variant"),
                                     counted(std::ssize(to_schedule_), "job"),
                                     already_done > 0 ? fmt::format(", {} already done", already_done) : ""));
        tell_notes();
    }
    if (stage_jobs().unfinished() > 0) {
        host_.need_workers(study_);
    }
}

std::optional<StudyRun::Writing> StudyRun::writing() const {
    if (!writer_ && to_schedule_.empty()) {
        return std::nullopt;
    }
    return Writing{stage_name_, std::ssize(to_schedule_), jobs_expected_};
}

void StudyRun::tell_notes() {
    for (const auto& line : std::exchange(notes_, {})) {
        host_.note_study(study_.name, line);
    }
}

void StudyRun::take_jobs(const std::vector<StoredJob>& jobs) {
    for (const auto& stored : jobs) {
        stages_[stage_].add(stored.id, stored.state);
        all_jobs_.add(stored.id, stored.state);
        job_changed(stored.id);
    }
}

void StudyRun::job_changed(std::int64_t job) {
    const JobState state = dispatcher_.jobs().at(job).stored.state;
    if (is_over_without_result(state)) {
        failed_meanwhile_.insert(job);
    }
    if (!all_jobs_.contains(job)) {
        return;
    }
    changed_ = true;
    all_jobs_.update(job, state);
    for (auto& stage : stages_) {
        stage.update(job, state);
    }
    if (halving_) {
        halving_->job_changed(job);
    }
}

void StudyRun::end(StudyState how) {
    changed_ = true;
    if (!outcome_) {
        outcome_ = how;
    }
}

void StudyRun::fail(std::exception_ptr failure) {
    changed_ = true;
    if (!outcome_) {
        failure_ = std::move(failure);
        outcome_ = StudyState::interrupted;
    }
}

}  // namespace orchestrate
