#include "coordinator/study_run.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/error.h"
#include "coordinator/stage_ensembles.h"

namespace orchestrate {

namespace {

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
        if (outcome_ && !written_) {
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
        if (!stage_begun_ && !begin_stage()) {
            return;
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
        outcome_ = all_jobs_.without_result() > 0 ? StudyState::failed : StudyState::finished;
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

bool StudyRun::begin_stage() {
    notes_.clear();  // of a try that the store broke off
    const Stage& stage = study_.stages[stage_];
    const auto baseline = baseline_of(stage);
    if (!baseline) {
        tell_notes();
        outcome_ = StudyState::failed;
        return false;
    }
    auto& variants = variants_of_[stage.name];
    variants = stage.rows_stage.empty() ? study_.expand(stage, *baseline)
                                        : study_.expand(stage, *baseline, rows_of(stage));
    const int position = static_cast<int>(stage_);
    const auto stored_jobs =
        store_.sync_stage(row_, position, stage, variants, study_.paths, old_failures_, failed_meanwhile_);
    stage_name_ = stage.name;
    dispatcher_.set_study_priority(row_, study_.priority);
    dispatcher_.set_retry_limits(row_, retry_limits(study_.retries));
    dispatcher_.set_expected_duration(
        row_, std::chrono::milliseconds(std::llround(study_.expected_job_minutes * 60'000)));
    dispatcher_.add_jobs(stored_jobs, position, row_);
    take_jobs(stored_jobs);
    halving_.reset();
    if (!stage.halving.rungs.empty()) {
        halving_.emplace(stage, variants, row_, store_, dispatcher_);
        promote();
    }
    const std::int64_t already_done = stage_jobs().in(JobState::succeeded);
    notes_.push_back(fmt::format("{}: {} variants, {} jobs{}", stage.name, variants.size(),
                                 stored_jobs.size(),
                                 already_done > 0 ? fmt::format(", {} already done", already_done) : ""));
    tell_notes();
    if (stage_jobs().unfinished() > 0) {
        host_.need_workers(study_);
        dispatcher_.schedule(stored_jobs);
    }
    stage_begun_ = true;
    return true;
}

void StudyRun::tell_notes() {
    for (const auto& line : std::exchange(notes_, {})) {
        host_.note_study(study_.name, line);
    }
}

// The configuration that a stage starts from; nothing (said to the person) if no run of that earlier stage succeeded.
std::optional<JobConfig> StudyRun::baseline_of(const Stage& stage) {
    if (stage.baseline_stage.empty()) {
        return study_.base;
    }
    const auto& variants = variants_of_[stage.baseline_stage];
    const auto metrics =
        store_.mean_metric(row_, stage.baseline_stage, stage.select_by, stage.select_part, stage.select_name);
    const auto best = best_variant(metrics, stage.goal_of(stage.select_name));
    if (!best) {
        notes_.push_back("no run of stage '" + stage.baseline_stage + "' succeeded, so stage '" + stage.name +
                         "' has no baseline to start from");
        return std::nullopt;
    }
    notes_.push_back(fmt::format("best of {}: {} ({}), {} {:.4f}", stage.baseline_stage,
                                 variants.at(*best).name, variants[*best].change, stage.selection(),
                                 *metrics[*best]));
    return variants[*best].config;
}

std::vector<Variant> StudyRun::rows_of(const Stage& stage) {
    const auto& variants = variants_of_[stage.rows_stage];
    std::vector<Variant> rows;
    std::vector<std::string> names;
    const auto differences =
        store_.differences(row_, stage.rows_stage, stage.rows_by, stage.rows_part, stage.rows_name);
    for (const std::size_t place : choose_rows(stage, differences)) {
        rows.push_back(variants.at(place));
        names.push_back(variants[place].name);
    }
    notes_.push_back(rows.empty() ? fmt::format("no row of {} is left for stage {} to go on with",
                                                stage.rows_stage, stage.name)
                                  : fmt::format("{} goes on with: {}", stage.name, fmt::join(names, "; ")));
    return rows;
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
