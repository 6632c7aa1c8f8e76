#include "coordinator/coordinator.h"

#include <algorithm>
#include <csignal>
#include <numeric>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include "common/error.h"
#include "common/time_text.h"
#include "coordinator/search_halving.h"
#include "coordinator/stage_ensembles.h"

namespace orchestrate {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using asio::use_awaitable;

namespace {

constexpr auto kStopGrace = 10s;
constexpr auto kLockHeartbeat = 5s;
// A commit waits so long for others to join it, and no longer than until there are so many; not at all if the last one
// was of fewer than a crowd.
constexpr std::chrono::milliseconds kGroupWindow = 2ms;
constexpr std::size_t kLargestGroup = 512;
constexpr std::size_t kCrowd = 8;
constexpr std::chrono::milliseconds kStoreRetry = 1s;

RetryLimits retry_limits(const Retries& retries) {
    return {retries.worker_crashed + 1, retries.out_of_memory + 1, retries.diverged + 1,
            retries.user_error + 1};
}

}  // namespace

Coordinator::Coordinator(CoordinatorOptions options, ProgressDisplay& display)
    : options_(std::move(options)),
      display_(display),
      lock_(options_.database, options_.take_over),
      log_(open_log("coordinator", state_folder(options_.database) / "logs" / "coordinator.log")),
      store_(options_.database, {.grouped = true, .vfs = {}, .network_file_system = {}, .sync = true}),
      checkpoints_(state_folder(options_.database)),
      signals_(io_, SIGINT, SIGTERM, SIGHUP),
      tick_timer_(io_),
      stage_timer_(io_),
      commit_timer_(io_),
      dispatcher_({options_.program_version, options_.heartbeat_interval, options_.retry_limits,
                   (state_folder(options_.database) / "logs").string(),
                   (std::filesystem::absolute(state_folder(options_.database)) / "models").string()},
                  store_, *this, log_),
      parcels_(checkpoints_, *files_, std::filesystem::absolute(state_folder(options_.database)) / "models") {
}

Coordinator::~Coordinator() = default;

StudyState Coordinator::run(const Study& study) {
    started_at_ = std::chrono::steady_clock::now();
    study_name_ = study.name;
    checkpoint_interval_seconds_ = study.checkpoint_interval_seconds;
    runs_commands_ = study.is_of_command();
    dispatcher_.set_progress_limit(std::chrono::seconds(study.progress_timeout_seconds));
    log_->info("orchestrate {} runs study '{}' of {} (journal: {})", options_.program_version, study.name,
               study.file.string(), store_.journal_mode());
    study_row_ = store_.begin_study(study);
    try {
        asio::co_spawn(io_, tick(), asio::detached);
        asio::co_spawn(io_, watch_signals(), asio::detached);
        asio::co_spawn(io_, drive(study), [this](std::exception_ptr error) { fail(error); });
        io_.run();
        if (failure_) {
            std::rethrow_exception(failure_);
        }
    } catch (const std::exception& error) {
        log_->error("the study breaks off: {}", error.what());
        display_.clear();
        if (slurm_) {
            slurm_->end();
        }
        if (lock_is_ours_) {
            try {
                store_.set_study_state(study_row_, StudyState::interrupted);
            } catch (const std::exception& second) {
                log_->error("its state cannot be written either: {}", second.what());
            }
        }
        throw;
    }
    store_.set_study_state(study_row_, outcome_);
    log_->info("study '{}': {}", study.name, to_string(outcome_));
    display_.clear();
    return outcome_;
}

void Coordinator::settle() {
    const auto changed = dispatcher_.take_changed_jobs();
    for (const std::int64_t job : changed) {
        stage_jobs_.update(job, dispatcher_.jobs().at(job).stored.state);
    }
    if (!changed.empty() && (stage_done() || stage_promotes_)) {
        stage_timer_.cancel();
    }
    if (store_.pending_changes() >= kLargestGroup && !dispatcher_.paused()) {
        commit_now();
        return;
    }
    if (store_.pending_changes() > 0 && !commit_is_due_) {
        commit_is_due_ = true;
        commit_timer_.expires_after(dispatcher_.paused()    ? kStoreRetry
                                    : last_group_ >= kCrowd ? kGroupWindow
                                                            : 0ms);
        commit_timer_.async_wait([this](boost::system::error_code error) {
            commit_is_due_ = false;
            if (!error) {
                commit_now();
            }
        });
    }
}

void Coordinator::commit_now() {
    last_group_ = store_.pending_changes();
    try {
        dispatcher_.commit();
    } catch (...) {
        fail(std::current_exception());
        return;
    }
    settle();
}

void Coordinator::fail(std::exception_ptr failure) {
    if (!failure_) {
        failure_ = std::move(failure);
    }
    io_.stop();
}

template <class Work>
auto Coordinator::when_store_works(Work work) -> asio::awaitable<decltype(work())> {
    while (true) {
        try {
            auto result = work();
            dispatcher_.commit();
            co_return result;
        } catch (const StoreUnavailable& error) {
            if (interrupted_) {
                throw;
            }
            dispatcher_.pause(error.what());
        }
        asio::steady_timer timer(io_, kStoreRetry);
        co_await timer.async_wait(use_awaitable);
    }
}

asio::awaitable<void> Coordinator::drive(const Study& study) {
    std::map<std::string, std::vector<Variant>> variants_of;
    for (std::size_t i = 0; i < study.stages.size() && !interrupted_; ++i) {
        const Stage& stage = study.stages[i];
        std::optional<JobConfig> baseline = study.base;
        if (!stage.baseline_stage.empty()) {
            baseline = co_await best_config(stage, variants_of[stage.baseline_stage]);
        }
        if (!baseline) {
            outcome_ = StudyState::failed;
            break;
        }
        auto& variants = variants_of[stage.name];
        if (stage.rows_stage.empty()) {
            variants = study.expand(stage, *baseline);
        } else {
            variants =
                study.expand(stage, *baseline, co_await chosen_rows(stage, variants_of[stage.rows_stage]));
        }
        co_await run_stage(study, static_cast<int>(i), stage, variants);
        if (!interrupted_) {
            for (const auto& line : co_await when_store_works(
                     [&] { return compute_ensembles(store_, study, study_row_, stage, variants_of); })) {
                display_.note(line);
            }
        }
    }
    if (interrupted_) {
        outcome_ = StudyState::interrupted;
    }
    co_await dismiss_workers();
    co_await when_store_works([&] {
        store_.commit();
        return true;
    });
}

asio::awaitable<std::optional<JobConfig>> Coordinator::best_config(const Stage& stage,
                                                                   const std::vector<Variant>& variants) {
    const auto metrics = co_await when_store_works([&] {
        return store_.mean_metric(study_row_, stage.baseline_stage, stage.select_by, stage.select_part,
                                  stage.select_name);
    });
    const auto best = best_variant(metrics, stage.goal_of(stage.select_name));
    if (!best) {
        display_.note("no run of stage '" + stage.baseline_stage + "' succeeded, so stage '" + stage.name +
                      "' has no baseline to start from");
        co_return std::nullopt;
    }
    display_.note(fmt::format("best of {}: {} ({}), {} {:.4f}", stage.baseline_stage, variants.at(*best).name,
                              variants[*best].change, stage.selection(), *metrics[*best]));
    co_return variants[*best].config;
}

asio::awaitable<std::vector<Variant>> Coordinator::chosen_rows(const Stage& stage,
                                                               const std::vector<Variant>& variants) {
    std::vector<Variant> rows;
    std::vector<std::string> names;
    const auto differences = co_await when_store_works([&] {
        return store_.differences(study_row_, stage.rows_stage, stage.rows_by, stage.rows_part,
                                  stage.rows_name);
    });
    for (const std::size_t place : choose_rows(stage, differences)) {
        rows.push_back(variants.at(place));
        names.push_back(variants[place].name);
    }
    display_.note(rows.empty() ? fmt::format("no row of {} is left for stage {} to go on with",
                                             stage.rows_stage, stage.name)
                               : fmt::format("{} goes on with: {}", stage.name, fmt::join(names, "; ")));
    co_return rows;
}

asio::awaitable<void> Coordinator::run_stage(const Study& study, int position, const Stage& stage,
                                             const std::vector<Variant>& variants) {
    stage_name_ = stage.name;
    stage_jobs_ = {};
    const auto stored_jobs = co_await when_store_works(
        [&] { return store_.sync_stage(study_row_, position, stage, variants, study.paths); });
    dispatcher_.set_study_priority(study_row_, study.priority);
    dispatcher_.set_retry_limits(study_row_, retry_limits(study.retries));
    dispatcher_.add_jobs(stored_jobs, position, study_row_);
    for (const auto& stored : stored_jobs) {
        stage_jobs_.add(stored.id, stored.state);
    }
    const std::int64_t already_done = stage_jobs_.in(JobState::succeeded);
    display_.note(fmt::format("{}: {} variants, {} jobs{}", stage.name, variants.size(), stored_jobs.size(),
                              already_done > 0 ? fmt::format(", {} already done", already_done) : ""));
    std::optional<SearchHalving> halving;
    stage_promotes_ = !stage.halving.rungs.empty();
    if (stage_promotes_) {
        halving.emplace(stage, variants, study_row_, store_, dispatcher_);
    }
    const auto promote = [&] {
        if (halving) {
            halving->advance();
        }
        return true;
    };
    co_await when_store_works(promote);
    settle();
    if (stage_done()) {
        co_return;
    }
    set_up_sites(study);
    dispatcher_.schedule(stored_jobs);
    settle();
    while (!stage_done() && !interrupted_) {
        if (!broken_.empty()) {
            throw UserError(broken_);
        }
        boost::system::error_code ignored;
        stage_timer_.expires_after(1h);
        co_await stage_timer_.async_wait(asio::redirect_error(use_awaitable, ignored));
        co_await when_store_works(promote);
        settle();
    }
    if (stage_jobs_.without_result() > 0) {
        outcome_ = StudyState::failed;
    }
}

bool Coordinator::stage_done() const {
    return stage_jobs_.unfinished() == 0;
}

asio::awaitable<void> Coordinator::tick() {
    while (true) {
        tick_timer_.expires_after(options_.tick_interval);
        co_await tick_timer_.async_wait(use_awaitable);
        try {
            beat_lock();
            dispatcher_.tick();
            if (slurm_ && !dismissing_) {
                slurm_->tick(!stage_done());
            }
            if (broken_.empty() && !dispatcher_.broken().empty()) {
                throw UserError(dispatcher_.broken());
            }
        } catch (const UserError& error) {
            broken_ = error.what();
            stage_timer_.cancel();
        } catch (...) {
            fail(std::current_exception());
        }
        settle();
        if (server_) {
            display_.update(status());
        }
    }
}

void Coordinator::beat_lock() {
    const auto now = std::chrono::steady_clock::now();
    if (now - lock_beat_at_ > kLockHeartbeat) {
        lock_beat_at_ = now;
        lock_is_ours_ = false;
        lock_.heartbeat();
        lock_is_ours_ = true;
    }
}

asio::awaitable<void> Coordinator::watch_signals() {
    const int signal = co_await signals_.async_wait(use_awaitable);
    log_->warn("signal {}: interrupting", signal);
    interrupted_ = true;
    display_.note("interrupted; stopping workers (once more to stop at once)");
    stage_timer_.cancel();
    co_await signals_.async_wait(use_awaitable);
    display_.clear();
    for (const auto& [name, site] : dispatcher_.sites()) {
        for (const auto& [worker_name, worker] : dispatcher_.workers()) {
            site->stop(worker_name, 0ms);
        }
    }
    if (slurm_) {
        slurm_->end();
    }
    try {
        store_.set_study_state(study_row_, StudyState::interrupted);
    } catch (const std::exception& error) {
        log_->error("the study's state cannot be written: {}", error.what());
    }
    _exit(128 + signal);
}

// Lets workers report what they have and end; then stops what is left.
asio::awaitable<void> Coordinator::dismiss_workers() {
    dismissing_ = true;
    dispatcher_.dismiss();
    settle();
    const auto wait_while = [this](auto condition) -> asio::awaitable<void> {
        const auto patience_ends = std::chrono::steady_clock::now() + kStopGrace;
        while (condition() && std::chrono::steady_clock::now() < patience_ends) {
            boost::system::error_code ignored;
            stage_timer_.expires_after(20ms);
            co_await stage_timer_.async_wait(asio::redirect_error(use_awaitable, ignored));
        }
    };
    co_await wait_while([this] {
        return std::any_of(dispatcher_.workers().begin(), dispatcher_.workers().end(),
                           [](const auto& entry) { return entry.second.connection != nullptr; });
    });
    const auto any_process = [this] {
        return std::any_of(dispatcher_.sites().begin(), dispatcher_.sites().end(),
                           [](const auto& entry) { return entry.second->has_processes(); });
    };
    for (const auto& [site_name, site] : dispatcher_.sites()) {
        for (const auto& [name, worker] : dispatcher_.workers()) {
            if (Dispatcher::site_of(name) == site_name && !worker.exit) {
                site->stop(name, kStopGrace);
            }
        }
    }
    co_await wait_while(any_process);
    if (slurm_) {
        slurm_->end();
    }
    if (server_) {
        server_->close();
    }
}

StatusReply Coordinator::status() const {
    StatusReply reply;
    reply.study = study_name_;
    reply.stage = stage_name_;
    reply.jobs = stage_jobs_.all();
    reply.succeeded = stage_jobs_.in(JobState::succeeded);
    reply.failed = stage_jobs_.without_result();
    reply.running = stage_jobs_.in(JobState::running);
    reply.elapsed_seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - started_at_).count();
    reply.remaining_seconds = remaining_seconds();
    for (const auto& [name, worker] : dispatcher_.workers()) {
        WorkerStatus entry;
        entry.name = name;
        entry.host = worker.record.host;
        entry.ranks = worker.record.ranks;
        entry.state = !worker.connection ? "away" : worker.running ? "busy" : "idle";
        if (worker.running) {
            entry.job = worker.running->job;
            if (const auto job = dispatcher_.jobs().find(entry.job); job != dispatcher_.jobs().end()) {
                entry.job_title = job->second.stored.title;
            }
            entry.progress = worker.progress;
        }
        reply.workers.push_back(std::move(entry));
    }
    return reply;
}

std::optional<double> Coordinator::remaining_seconds() const {
    const auto now = std::chrono::steady_clock::now();
    double fraction_done_of_running = 0;
    double estimate_from_running = 0;
    int estimates = 0;
    int running = 0;
    for (const auto& [name, worker] : dispatcher_.workers()) {
        if (!worker.running) {
            continue;
        }
        ++running;
        const auto& progress = worker.progress;
        const auto job = dispatcher_.jobs().find(worker.running->job);
        if (progress.steps > 0 && progress.step > 0 && job != dispatcher_.jobs().end()) {
            const double fraction = static_cast<double>(progress.step) / static_cast<double>(progress.steps);
            fraction_done_of_running += fraction;
            if (const double since = fraction - job->second.share_resumed; since > 0) {
                estimate_from_running +=
                    std::chrono::duration<double>(now - job->second.began_at).count() / since;
                ++estimates;
            }
        }
    }
    double seconds_per_job = 0;
    if (!dispatcher_.job_seconds().empty()) {
        seconds_per_job =
            std::accumulate(dispatcher_.job_seconds().begin(), dispatcher_.job_seconds().end(), 0.0) /
            static_cast<double>(dispatcher_.job_seconds().size());
    } else if (estimates > 0) {
        seconds_per_job = estimate_from_running / estimates;
    } else {
        return std::nullopt;
    }
    const double jobs_left =
        std::max(0.0, static_cast<double>(stage_jobs_.unfinished()) - fraction_done_of_running);
    return jobs_left * seconds_per_job / std::max(1, running);
}

}  // namespace orchestrate
