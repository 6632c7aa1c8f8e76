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
#include "common/host.h"
#include "common/time_text.h"

namespace orchestrate {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using asio::use_awaitable;

namespace {

constexpr auto kStopGrace = 10s;
constexpr auto kLockHeartbeat = 5s;
constexpr const char* kThisMachine = "local";

}  // namespace

Coordinator::Coordinator(CoordinatorOptions options, ProgressDisplay& display)
    : options_(std::move(options)),
      display_(display),
      lock_(options_.database, options_.take_over),
      log_(open_log("coordinator", state_folder(options_.database) / "logs" / "coordinator.log")),
      store_(options_.database),
      checkpoints_(state_folder(options_.database)),
      signals_(io_, SIGINT, SIGTERM, SIGHUP),
      tick_timer_(io_),
      stage_timer_(io_),
      scheduler_(store_.last_worker_number()) {}

Coordinator::~Coordinator() = default;

StudyState Coordinator::run(const Study& study) {
    started_at_ = std::chrono::steady_clock::now();
    study_name_ = study.name;
    checkpoint_interval_seconds_ = study.checkpoint_interval_seconds;
    progress_watch_.set_limit(std::chrono::seconds(study.progress_timeout_seconds));
    log_->info("orchestrate {} runs study '{}' of {} (journal: {})", options_.program_version, study.name,
               study.file.string(), store_.journal_mode());
    study_row_ = store_.begin_study(study);
    try {
        std::exception_ptr failure;
        asio::co_spawn(io_, tick(), asio::detached);
        asio::co_spawn(io_, watch_signals(), asio::detached);
        asio::co_spawn(io_, drive(study), [&](std::exception_ptr error) {
            failure = error;
            io_.stop();
        });
        io_.run();
        if (failure) {
            std::rethrow_exception(failure);
        }
    } catch (const std::exception& error) {
        log_->error("the study breaks off: {}", error.what());
        display_.clear();
        if (slurm_) {
            slurm_->end();
        }
        store_.set_study_state(study_row_, StudyState::interrupted);
        throw;
    }
    store_.set_study_state(study_row_, outcome_);
    log_->info("study '{}': {}", study.name, to_string(outcome_));
    display_.clear();
    return outcome_;
}

asio::awaitable<void> Coordinator::drive(const Study& study) {
    std::map<std::string, std::vector<Variant>> variants_of;
    for (std::size_t i = 0; i < study.stages.size() && !interrupted_; ++i) {
        const Stage& stage = study.stages[i];
        const auto baseline = stage.baseline_stage.empty()
                                  ? std::optional(study.base)
                                  : best_config(stage, variants_of[stage.baseline_stage]);
        if (!baseline) {
            outcome_ = StudyState::failed;
            break;
        }
        auto& variants = variants_of[stage.name];
        variants = stage.rows_stage.empty()
                       ? study.expand(stage, *baseline)
                       : study.expand(stage, *baseline, chosen_rows(stage, variants_of[stage.rows_stage]));
        co_await run_stage(study, static_cast<int>(i), stage, variants);
    }
    if (interrupted_) {
        outcome_ = StudyState::interrupted;
    }
    co_await dismiss_workers();
}

std::optional<JobConfig> Coordinator::best_config(const Stage& stage, const std::vector<Variant>& variants) {
    const auto metrics =
        store_.mean_metric(study_row_, stage.baseline_stage, stage.select_by, stage.select_part);
    const auto best = best_variant(metrics);
    if (!best) {
        display_.note("no run of stage '" + stage.baseline_stage + "' succeeded, so stage '" + stage.name +
                      "' has no baseline to start from");
        return std::nullopt;
    }
    display_.note(fmt::format("best of {}: {} ({}), {} {} {:.4f}", stage.baseline_stage,
                              variants.at(*best).name, variants[*best].change, to_string(stage.select_part),
                              to_string(stage.select_by), *metrics[*best]));
    return variants[*best].config;
}

std::vector<Variant> Coordinator::chosen_rows(const Stage& stage, const std::vector<Variant>& variants) {
    std::vector<Variant> rows;
    std::vector<std::string> names;
    for (const std::size_t place : choose_rows(
             stage, store_.differences(study_row_, stage.rows_stage, stage.rows_by, stage.rows_part))) {
        rows.push_back(variants.at(place));
        names.push_back(variants[place].name);
    }
    display_.note(rows.empty() ? fmt::format("no row of {} is left for stage {} to go on with",
                                             stage.rows_stage, stage.name)
                               : fmt::format("{} goes on with: {}", stage.name, fmt::join(names, "; ")));
    return rows;
}

asio::awaitable<void> Coordinator::run_stage(const Study& study, int position, const Stage& stage,
                                             const std::vector<Variant>& variants) {
    stage_name_ = stage.name;
    stage_jobs_.clear();
    const auto stored_jobs = store_.sync_stage(study_row_, position, stage, variants, study.paths);
    std::int64_t already_done = 0;
    for (const auto& stored : stored_jobs) {
        stage_jobs_.push_back(stored.id);
        jobs_[stored.id].stored = stored;
        already_done += stored.state == JobState::succeeded ? 1 : 0;
    }
    display_.note(fmt::format("{}: {} variants, {} jobs{}", stage.name, variants.size(), stored_jobs.size(),
                              already_done > 0 ? fmt::format(", {} already done", already_done) : ""));
    if (stage_done()) {
        co_return;
    }
    set_up_sites(study);
    for (const auto& stored : stored_jobs) {
        // As it is now: setting up may have ended attempts of an earlier coordinator.
        if (jobs_[stored.id].stored.state == JobState::waiting) {
            scheduler_.add_job(stored.id, stored.resources.ranks, position);
        }
    }
    while (!stage_done() && !interrupted_) {
        if (!broken_.empty()) {
            throw UserError(broken_);
        }
        act();
        boost::system::error_code ignored;
        stage_timer_.expires_after(1h);
        co_await stage_timer_.async_wait(asio::redirect_error(use_awaitable, ignored));
    }
    const bool failed = std::any_of(stage_jobs_.begin(), stage_jobs_.end(), [&](std::int64_t id) {
        const JobState state = jobs_.at(id).stored.state;
        return state == JobState::failed || state == JobState::cancelled;
    });
    if (failed) {
        outcome_ = StudyState::failed;
    }
}

bool Coordinator::stage_done() const {
    return std::all_of(stage_jobs_.begin(), stage_jobs_.end(), [&](std::int64_t id) {
        const JobState state = jobs_.at(id).stored.state;
        return state != JobState::waiting && state != JobState::running;
    });
}

void Coordinator::set_up_sites(const Study& study) {
    if (server_) {
        return;  // by an earlier stage
    }
    const bool slurm = study.cluster.kind == ClusterKind::slurm;
    server_ = std::make_unique<Server>(io_, state_folder(options_.database), slurm, log_,
                                       [this](std::shared_ptr<Connection> connection, Hello hello) {
                                           return serve(connection, std::move(hello));
                                       });
    accept_unacknowledged_results();
    recover();
    if (slurm) {
        slurm_ = std::make_unique<SlurmSites>(
            study.cluster, state_folder(options_.database), server_->worker_access_file(), log_,
            options_.heartbeat_interval, [this](const std::string& line) { display_.note(line); });
        slurm_->begin();
    } else {
        const int gpus = visible_gpus();
        const bool cuda = study.cluster.device == DeviceChoice::cuda ||
                          (study.cluster.device == DeviceChoice::automatic && gpus > 0);
        SiteOptions site;
        site.device = cuda ? "cuda" : "cpu";
        const int natural_slots = cuda ? std::max(1, gpus) : usable_cores();
        site.slots = options_.workers > 0      ? options_.workers
                     : study.cluster.slots > 0 ? study.cluster.slots
                                               : natural_slots;
        site.threads_per_rank = study.cluster.threads_per_rank > 0 ? study.cluster.threads_per_rank
                                                                   : std::max(1, usable_cores() / site.slots);
        site.access_file = std::filesystem::absolute(server_->worker_access_file());
        site.log_folder = std::filesystem::absolute(state_folder(options_.database)) / "logs";
        site.heartbeat_interval = options_.heartbeat_interval;
        site.interface = study.cluster.interface.empty() ? "lo" : study.cluster.interface;
        log_->info("this machine: {} slots, {} thread(s) each, {}", site.slots, site.threads_per_rank,
                   site.device);
        scheduler_.add_site(kThisMachine, site.slots);
        sites_[kThisMachine] = std::make_unique<LauncherSite>(make_local_launcher(false), site);
    }
    asio::co_spawn(io_, server_->accept(), asio::detached);
}

void Coordinator::act() {
    if (dismissing_) {
        return;
    }
    for (const auto& action : scheduler_.next_actions()) {
        if (const auto* assignment = std::get_if<AssignJob>(&action)) {
            assign(assignment->job, assignment->worker);
        } else if (const auto* start = std::get_if<StartWorkerAt>(&action)) {
            log_->info("starting worker {} with {} rank(s)", start->worker, start->ranks);
            sites_.at(start->site)->start(start->worker, start->ranks);
            if (start->site == kThisMachine) {
                starting_[start->worker] = std::chrono::steady_clock::now();
            }
        } else if (const auto* retire = std::get_if<RetireWorker>(&action)) {
            log_->info("retiring worker {}", retire->worker);
            if (const auto found = workers_.find(retire->worker);
                found != workers_.end() && found->second.connection) {
                found->second.connection->send(Retire{});
            }
        } else if (const auto* site = std::get_if<SiteBroken>(&action)) {
            log_->error("no worker comes up at {}", site->site);
            const bool others = std::any_of(sites_.begin(), sites_.end(),
                                            [&](const auto& entry) { return entry.first != site->site; });
            if (!others) {
                broken_ = "workers do not come up: " + std::to_string(Scheduler::kMaximumStartFailures) +
                          " in a row ended before they connected; look at their logs in '" +
                          (state_folder(options_.database) / "logs").string() + "'";
                stage_timer_.cancel();
            }
        }
    }
}

void Coordinator::assign(std::int64_t id, const std::string& name) {
    Worker& worker = workers_.at(name);
    Job& job = jobs_.at(id);
    const BegunAttempt begun = store_.begin_attempt(id, worker.record, worker.log_folder);
    job.attempt = begun.id;
    job.began_at = std::chrono::steady_clock::now();
    job.share_resumed = 0;
    job.stored.state = JobState::running;
    worker.running = begun.id;
    worker.progress = {};
    progress_watch_.begin(name, job.began_at);
    log_->info("job {} ({}), attempt {} goes to {}", id, job.stored.title, begun.id.number, name);
    if (worker.connection) {
        worker.connection->send(
            Lease{begun.id, job.stored.config, job.stored.paths, job.stored.resources, begun.log_file,
                  plan_checkpoints(begun.id),
                  (std::filesystem::absolute(state_folder(options_.database)) / "models").string()});
    }
}

asio::awaitable<void> Coordinator::tick() {
    while (true) {
        tick_timer_.expires_after(options_.tick_interval);
        co_await tick_timer_.async_wait(use_awaitable);
        try {
            beat_lock();
            for (auto& [name, site] : sites_) {
                for (const auto& exit : site->take_exits()) {
                    on_exit(name, exit);
                }
            }
            check_workers();
            check_starting_workers();
            release_held_attempts();
            if (slurm_ && !dismissing_) {
                slurm_->tick(!stage_done());
            }
            act();
        } catch (const UserError& error) {
            broken_ = error.what();
            stage_timer_.cancel();
        }
        if (server_) {
            display_.update(status());
        }
    }
}

void Coordinator::beat_lock() {
    const auto now = std::chrono::steady_clock::now();
    if (now - lock_beat_at_ > kLockHeartbeat) {
        lock_beat_at_ = now;
        lock_.heartbeat();
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
    for (auto& [name, site] : sites_) {
        for (const auto& [worker_name, worker] : workers_) {
            site->stop(worker_name, 0ms);
        }
    }
    if (slurm_) {
        slurm_->end();
    }
    store_.set_study_state(study_row_, StudyState::interrupted);
    _exit(128 + signal);
}

// Lets workers report what they have and end; then stops what is left.
asio::awaitable<void> Coordinator::dismiss_workers() {
    dismissing_ = true;
    for (auto& [name, worker] : workers_) {
        if (worker.connection) {
            worker.connection->send(Retire{});
        }
    }
    const auto wait_while = [this](auto condition) -> asio::awaitable<void> {
        const auto patience_ends = std::chrono::steady_clock::now() + kStopGrace;
        while (condition() && std::chrono::steady_clock::now() < patience_ends) {
            boost::system::error_code ignored;
            stage_timer_.expires_after(20ms);
            co_await stage_timer_.async_wait(asio::redirect_error(use_awaitable, ignored));
        }
    };
    co_await wait_while([this] {
        return std::any_of(workers_.begin(), workers_.end(),
                           [](const auto& entry) { return entry.second.connection != nullptr; });
    });
    const auto any_process = [this] {
        return std::any_of(sites_.begin(), sites_.end(),
                           [](const auto& entry) { return entry.second->has_processes(); });
    };
    for (auto& [site_name, site] : sites_) {
        for (const auto& [name, worker] : workers_) {
            if (site_of(name) == site_name && !worker.exit) {
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
    reply.jobs = static_cast<std::int64_t>(stage_jobs_.size());
    for (const std::int64_t id : stage_jobs_) {
        const JobState state = jobs_.at(id).stored.state;
        reply.succeeded += state == JobState::succeeded ? 1 : 0;
        reply.failed += state == JobState::failed || state == JobState::cancelled ? 1 : 0;
        reply.running += state == JobState::running ? 1 : 0;
    }
    reply.elapsed_seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - started_at_).count();
    reply.remaining_seconds = remaining_seconds();
    for (const auto& [name, worker] : workers_) {
        WorkerStatus entry;
        entry.name = name;
        entry.host = worker.record.host;
        entry.ranks = worker.record.ranks;
        entry.state = !worker.connection ? "away" : worker.running ? "busy" : "idle";
        if (worker.running) {
            entry.job = worker.running->job;
            if (const auto job = jobs_.find(entry.job); job != jobs_.end()) {
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
    for (const auto& [name, worker] : workers_) {
        if (!worker.running) {
            continue;
        }
        ++running;
        const auto& progress = worker.progress;
        const auto job = jobs_.find(worker.running->job);
        if (progress.steps > 0 && progress.step > 0 && job != jobs_.end()) {
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
    if (!job_seconds_.empty()) {
        seconds_per_job = std::accumulate(job_seconds_.begin(), job_seconds_.end(), 0.0) /
                          static_cast<double>(job_seconds_.size());
    } else if (estimates > 0) {
        seconds_per_job = estimate_from_running / estimates;
    } else {
        return std::nullopt;
    }
    const auto unfinished = std::count_if(stage_jobs_.begin(), stage_jobs_.end(), [&](std::int64_t id) {
        const JobState state = jobs_.at(id).stored.state;
        return state == JobState::waiting || state == JobState::running;
    });
    const double jobs_left = std::max(0.0, static_cast<double>(unfinished) - fraction_done_of_running);
    return jobs_left * seconds_per_job / std::max(1, running);
}

}  // namespace orchestrate
