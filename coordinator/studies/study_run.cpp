#include "coordinator/studies/study_run.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "common/base/counted.h"
#include "common/base/error.h"
#include "coordinator/database/read_database.h"
#include "coordinator/store/stored_stages.h"
#include "coordinator/studies/stage_ensembles.h"

namespace orchestrate {

namespace {

// What advance() does at a time: some ten milliseconds of work.
constexpr std::size_t kJobsAtATime = 500;

RetryLimits retry_limits(const Retries& retries) {
    return {retries.worker_crashed + 1, retries.out_of_memory + 1, retries.diverged + 1,
            retries.user_error + 1};
}

}  // namespace

StudyRun::StudyRun(Study study, StudyId row, OldFailures old_failures, JobStore& store,
                   Dispatcher& dispatcher, StudyHost& host, std::chrono::steady_clock::time_point now)
    : study_(std::make_shared<const Study>(std::move(study))),
      row_(row),
      old_failures_(old_failures),
      store_(store),
      dispatcher_(dispatcher),
      host_(host),
      began_at_(now),
      stages_(std::max<std::size_t>(1, study_->stages.size())) {
    dispatcher_.observe(*this);
}

StudyRun::~StudyRun() {
    abandon_expansion();
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
        abandon_expansion();
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
    if (study_->stages.empty()) {
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
        if (halving_ && halving_->has_more_to_do()) {
            changed_ = true;
            return;
        }
        if (!stage_is_over()) {
            return;
        }
        for (const auto& line :
             compute_ensembles(store_, *study_, row_, study_->stages[stage_], *variants_of_)) {
            host_.note_study(study_->name, line);
        }
        if (stage_ + 1 < study_->stages.size()) {
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
    if (written_) {
        return false;
    }
    if (expansion_ && expansion_->is_done) {
        return true;
    }
    return changed_ && (outcome_ || (!stage_begun_ && !expansion_) || halving_ || stage_is_over());
}

// Jobs of earlier stages may have been asked for again.
bool StudyRun::stage_is_over() const {
    return (stage_ + 1 < study_->stages.size() ? stages_[stage_] : all_jobs_).unfinished() == 0;
}

void StudyRun::promote() {
    if (halving_) {
        halving_->advance();
    }
}

// Makes the variants of the stage that is next.
void StudyRun::begin_expansion() {
    const Stage& stage = study_->stages[stage_];
    halving_.reset();
    to_schedule_.clear();
    jobs_expected_ = 0;
    const auto expansion = std::make_shared<Expansion>();
    const bool chooses = !stage.baseline_stage.empty() || !stage.rows_stage.empty();
    const auto database = chooses ? host_.readable_database() : std::nullopt;
    if (database) {
        store_.commit();
    } else {
        expansion->start = start_of_stage(*study_, stage, row_, *variants_of_, store_);
    }
    expansion_ = expansion;
    host_.do_aside([study = study_, place = stage_, row = row_, earlier = variants_of_, database, expansion] {
        try {
            if (database) {
                SQLite::Database reader = open_read_only(*database);
                expansion->start = start_of_stage(*study, study->stages[place], row, *earlier, reader);
            }
            expansion->variants =
                variants_of_stage(*study, study->stages[place], expansion->start, &expansion->abandoned);
        } catch (...) {
            expansion->failure = std::current_exception();
        }
        expansion->is_done = true;
    });
}

void StudyRun::abandon_expansion() {
    if (expansion_) {
        expansion_->abandoned = true;
        expansion_.reset();
    }
}

StudyRun::Begin StudyRun::take_expansion() {
    const auto expansion = std::exchange(expansion_, nullptr);
    if (expansion->failure) {
        std::rethrow_exception(expansion->failure);
    }
    const Stage& stage = study_->stages[stage_];
    for (const auto& line : expansion->start.notes) {
        if (told_starts_.insert(line).second) {  // several stages may start from the best of one
            notes_.push_back(line);
        }
    }
    if (expansion->variants.empty()) {
        tell_notes();
        outcome_ = StudyState::failed;
        return Begin::ended;
    }
    stage_name_ = stage.name;
    auto& variants = (*variants_of_)[stage.name] = std::move(expansion->variants);
    starts_[stage.name] = std::move(expansion->start.notes);
    for (const auto& variant : variants) {
        jobs_expected_ += std::ssize(variant.runs);
    }
    dispatcher_.set_study_priority(row_, study_->priority);
    dispatcher_.set_retry_limits(row_, retry_limits(study_->retries));
    dispatcher_.set_expected_duration(
        row_, std::chrono::milliseconds(std::llround(study_->expected_job_minutes * 60'000)));
    writer_ = std::make_unique<StageWriter>(row_, static_cast<int>(stage_), stage, variants, study_->paths,
                                            FailedBefore{old_failures_, &failed_meanwhile_});
    beginning_was_told_ = false;
    return Begin::later;
}

// Its variants are made; then a slice of its jobs is written and known; after the last one, a slice of them is scheduled.
StudyRun::Begin StudyRun::begin_stage() {
    if (to_schedule_.empty() && !writer_) {
        if (!expansion_) {
            begin_expansion();
        }
        if (!expansion_->is_done) {
            return Begin::awaits;
        }
        if (take_expansion() == Begin::ended) {
            return Begin::ended;
        }
    }
    if (writer_) {
        if (!writer_->is_done()) {
            const auto jobs = store_.write_slice(*writer_, kJobsAtATime);
            dispatcher_.add_jobs(jobs, {row_, static_cast<int>(stage_), study_->is_of_command()});
            take_jobs(jobs);
            to_schedule_.insert(to_schedule_.end(), jobs.begin(), jobs.end());
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
        dispatcher_.schedule(std::span<const JobId>(to_schedule_).subspan(scheduled_, next - scheduled_));
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
    const Stage& stage = study_->stages[stage_];
    const auto& variants = variants_of_->at(stage.name);
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
        host_.need_workers(*study_);
    }
}

std::optional<StudyRun::Writing> StudyRun::writing() const {
    if (!writer_ && to_schedule_.empty() && !expansion_) {
        return std::nullopt;
    }
    return Writing{study_->stages[stage_].name, std::ssize(to_schedule_), jobs_expected_};
}

void StudyRun::tell_notes() {
    for (const auto& line : std::exchange(notes_, {})) {
        host_.note_study(study_->name, line);
    }
}

void StudyRun::take_jobs(const std::vector<JobId>& jobs) {
    for (const JobId job : jobs) {
        const JobState state = store_.jobs().at(job).state;
        stages_[stage_].add(job, state);
        all_jobs_.add(job, state);
        job_changed(job, state, state);
    }
}

void StudyRun::job_changed(JobId job, JobState before, JobState now) {
    if (is_over_without_result(now)) {
        failed_meanwhile_.insert(job);
    }
    if (!all_jobs_.contains(job)) {
        return;
    }
    changed_ = true;
    all_jobs_.change(job, before, now);
    for (auto& stage : stages_) {
        stage.change(job, before, now);
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
