#include "coordinator/server/coordinator.h"

#include <algorithm>
#include <csignal>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/process_signals.h"
#include "common/base/time_text.h"

namespace orchestrate {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using asio::use_awaitable;

namespace {

constexpr auto kStopGrace = 10s;
// For scancel, when the user asks a second time to end at once.
constexpr auto kSecondSignalTimeout = 2s;
// How long users who are connected may take to fetch how their study has ended.
constexpr auto kFollowersGrace = 3s;
// A commit waits so long for others to join it, and no longer than until there are so many; not at all if the last one
// was of fewer than a crowd.
constexpr std::chrono::milliseconds kGroupWindow = 2ms;
constexpr std::size_t kLargestGroup = 512;
constexpr std::size_t kCrowd = 8;
constexpr std::chrono::milliseconds kStoreRetry = 1s;
constexpr auto kWritingSaidEvery = 3s;

std::string failure_text(const std::exception_ptr& failure) {
    if (!failure) {
        return "";
    }
    try {
        std::rethrow_exception(failure);
    } catch (const std::exception& error) {
        return std::string(": ") + error.what();
    }
}

// A symbolic link may lead elsewhere later.
CoordinatorOptions with_resolved_database(CoordinatorOptions options) {
    options.database = resolve_database(options.database);
    check_database_name(options.database);  // before anything is created
    return options;
}

}  // namespace

Coordinator::Coordinator(CoordinatorOptions options, ProgressDisplay& display)
    : options_(with_resolved_database(std::move(options))),
      display_(display),
      lock_(options_.database, options_.take_over),
      log_(open_log("coordinator", state_folder(options_.database) / "logs" / "coordinator.log")),
      watch_([] { return std::chrono::steady_clock::now(); },
             [this](const std::string& handler, std::chrono::milliseconds held) {
                 log_->warn("the coordinator's loop was held for {} ms by: {}", held.count(), handler);
             }),
      store_(options_.database, {.grouped = true,
                                 .vfs = {},
                                 .network_file_system = {},
                                 .sync = true,
                                 .verify = [this] { lock_.verify(std::chrono::steady_clock::now()); }}),
      claim_(store_.write([this](SQLite::Database& database) {
          return claim_database(database, lock_.place(), utc_now_text());
      })),
      checkpoints_(state_folder(options_.database)),
      signals_(io_),
      tick_timer_(io_),
      wake_timer_(io_),
      commit_timer_(io_),
      dispatcher_({options_.program_version, options_.heartbeat_interval, options_.retry_limits,
                   (state_folder(options_.database) / "logs").string(),
                   (std::filesystem::absolute(state_folder(options_.database)) / "models").string()},
                  store_, *this, log_),
      uploads_(checkpoints_, *files_, std::filesystem::absolute(state_folder(options_.database)) / "models"),
      reader_(options_.database) {
    for (const int signal : signals_not_ignored({SIGINT, SIGTERM, SIGHUP})) {
        signals_.add(signal);
    }
    ignore_harmless_signals({SIGUSR1, SIGUSR2});
}

Coordinator::~Coordinator() {
    loader_.join();
    release_claim();
}

void Coordinator::run() {
    log_->info("orchestrate {} (journal: {}), database {} at '{}'", options_.program_version,
               store_.journal_mode(), claim_.identity.id, lock_.place().path);
    if (claim_.copy_of) {
        note("this database is a copy of '" + claim_.copy_of->path +
             "': it has its own identity now, and its directory '" +
             state_folder(options_.database).string() + "' is its own");
    }
    try {
        asio::co_spawn(io_, tick(), asio::detached);
        asio::co_spawn(io_, watch_signals(), asio::detached);
        asio::co_spawn(io_, drive(), [this](std::exception_ptr error) { fail(std::move(error)); });
        io_.run();
        if (failure_) {
            name_lost_database();
            std::rethrow_exception(failure_);
        }
    } catch (const std::exception& error) {
        log_->error("the coordinator breaks off: {}", error.what());
        display_.clear();
        if (slurm_) {
            slurm_->end_now(PilotSupervisor::kEndTimeout);
        }
        if (lock_is_ours_) {
            try {
                end_studies();
            } catch (const std::exception& second) {
                log_->error("the states of studies cannot be written either: {}", second.what());
            }
        }
        throw;
    }
    display_.clear();
}

void Coordinator::after_events() {
    const auto hold = watch_.hold("jobs that have changed");
    if (studies_may_go_on()) {
        wake();
    }
    if (store_.pending_changes() >= kLargestGroup && !dispatcher_.paused()) {
        commit_now();
        return;
    }
    // While paused a commit is tried even if nothing waits: it may have been a read that failed.
    if ((dispatcher_.needs_commit() || dispatcher_.paused()) && !commit_is_due_) {
        commit_is_due_ = true;
        if (!dispatcher_.paused() && last_group_ < kCrowd) {
            asio::post(io_, [this] {
                commit_is_due_ = false;
                commit_now();
            });
            return;
        }
        commit_timer_.expires_after(dispatcher_.paused() ? kStoreRetry : kGroupWindow);
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
        const auto hold = watch_.hold("a commit");
        dispatcher_.commit();
    } catch (...) {
        fail(std::current_exception());
        return;
    }
    after_events();
}

void Coordinator::fail(std::exception_ptr failure) {
    if (!failure_) {
        failure_ = std::move(failure);
    }
    io_.stop();
}

bool Coordinator::work_is_left() const {
    return std::any_of(runs_.begin(), runs_.end(), [](const auto& run) { return !run->has_ended(); });
}

bool Coordinator::studies_may_go_on() const {
    return std::any_of(runs_.begin(), runs_.end(), [](const auto& run) { return run->may_go_on(); });
}

bool Coordinator::advance_studies() {
    try {
        // By place: while one goes on, another may be submitted.
        for (std::size_t i = 0; i < runs_.size(); ++i) {  // NOLINT(modernize-loop-convert)
            StudyRun& run = *runs_[i];
            if (run.has_ended()) {
                continue;
            }
            if (!broken_.empty()) {
                run.fail(std::make_exception_ptr(UserError(broken_)));
            }
            const std::string stage = run.stage_name();
            const bool was_writing = run.writing().has_value();
            {
                const auto hold = watch_.hold("the stages of study", run.study().name);
                run.advance();
            }
            const bool has_new_jobs = run.stage_name() != stage || was_writing;
            if (run.has_ended() || (has_new_jobs && !run.writing())) {
                share_jobs_of_paused_studies();
            }
            if (run.has_ended()) {
                run.set_ended_at(now());
                log_->info("study '{}': {}", run.study().name, to_string(*run.outcome()));
                const std::string line = "study " + run.study().name + ": " + to_string(*run.outcome()) +
                                         failure_text(run.failure());
                if (runs_.size() > 1 || options_.stay) {
                    note_study(run.study().name, line);
                } else {
                    add_event(run.study().name, line);  // its table says it
                }
                update_progress_limit();
            }
        }
    } catch (const StoreUnavailable& error) {
        dispatcher_.pause(error.what());
        return false;
    }
    return dispatcher_.commit();
}

asio::awaitable<void> Coordinator::drive() {
    while (!interrupted_) {
        bool advanced = advance_studies();
        after_events();
        if (!work_is_left() && controls_ == 0 && !options_.stay) {
            break;
        }
        const bool writing = std::any_of(runs_.begin(), runs_.end(),
                                         [](const auto& run) { return run->writing().has_value(); });
        try {
            if (!writing) {
                open_server(options_.reachable);
            }
        } catch (const StoreUnavailable& error) {
            dispatcher_.pause(error.what());
            advanced = false;
        }
        if (advanced && studies_may_go_on()) {
            // Something has changed since each of them was advanced, and nobody waited yet for wake().
            co_await asio::post(io_, use_awaitable);
            continue;
        }
        boost::system::error_code ignored;
        wake_timer_.expires_after(advanced ? std::chrono::milliseconds(1h) : kStoreRetry);
        if (!interrupted_) {
            co_await wake_timer_.async_wait(asio::redirect_error(use_awaitable, ignored));
        }
    }
    ending_ = true;
    co_await dismiss_workers();
    while (true) {
        try {
            end_studies();
            break;
        } catch (const StoreUnavailable& error) {
            if (interrupted_) {
                throw;
            }
            dispatcher_.pause(error.what());
        }
        asio::steady_timer timer(io_, kStoreRetry);
        co_await timer.async_wait(use_awaitable);
    }
    co_await wait_for_followers();
    if (server_) {
        server_->close();
    }
}

// Studies that have not ended are interrupted. Everything is on disk afterwards.
void Coordinator::end_studies() {
    store_.commit();
    for (const auto& run : runs_) {
        if (!run->has_ended()) {
            run->end(StudyState::interrupted);
            run->advance();
            log_->info("study '{}': {}", run->study().name, to_string(*run->outcome()));
        }
    }
    dispatcher_.commit();
}

asio::awaitable<void> Coordinator::tick() {
    while (true) {
        tick_timer_.expires_after(options_.tick_interval);
        co_await tick_timer_.async_wait(use_awaitable);
        try {
            {
                const auto hold = watch_.hold("the heartbeat of the database's lock");
                beat_lock();
            }
            {
                const auto hold = watch_.hold("a look at all workers");
                dispatcher_.tick();
            }
            if (slurm_ && !ending_) {
                const auto hold = watch_.hold("Slurm's pilots");
                keep_pilots();
            }
            if (broken_.empty() && !dispatcher_.broken().empty()) {
                throw UserError(dispatcher_.broken());
            }
        } catch (const UserError& error) {
            if (!lock_is_ours_) {
                fail(std::current_exception());
            }
            broken_ = error.what();
            wake();
        } catch (...) {
            fail(std::current_exception());
        }
        after_events();
        note_writing();
        if (server_) {
            const auto hold = watch_.hold("the display of progress");
            display_.update(status(last_event_));
        }
    }
}

// How far the jobs of large studies are written, every few seconds.
void Coordinator::note_writing() {
    bool any = false;
    for (const auto& run : runs_) {
        const auto writing = run->has_ended() ? std::nullopt : run->writing();
        if (!writing) {
            continue;
        }
        any = true;
        if (now() - writing_said_at_ >= kWritingSaidEvery) {
            note_study(run->study().name, writing->expected == 0
                                              ? fmt::format("{}: its variants are made", writing->stage)
                                              : fmt::format("{}: {} of {} jobs are written", writing->stage,
                                                            writing->jobs, writing->expected));
        }
    }
    if (!any || now() - writing_said_at_ >= kWritingSaidEvery) {
        writing_said_at_ = now();
    }
}

asio::awaitable<void> Coordinator::watch_signals() {
    const int signal = co_await signals_.async_wait(use_awaitable);
    log_->warn("signal {}: interrupting", signal);
    interrupted_ = true;
    const auto active =
        std::count_if(runs_.begin(), runs_.end(), [](const auto& run) { return !run->has_ended(); });
    note(active > 1 ? "interrupted, with all " + std::to_string(active) +
                          " studies; stopping workers (once more to stop at once)"
                    : "interrupted; stopping workers (once more to stop at once)");
    wake();
    co_await signals_.async_wait(use_awaitable);
    display_.clear();
    for (const auto& [name, site] : dispatcher_.sites()) {
        for (const auto& [worker_name, worker] : dispatcher_.workers()) {
            site->stop(worker_name, 0ms);
        }
    }
    if (slurm_) {
        slurm_->end_now(kSecondSignalTimeout);
    }
    try {
        end_studies();
    } catch (const std::exception& error) {
        log_->error("the states of studies cannot be written: {}", error.what());
    }
    _exit(128 + signal);
}

// Lets workers report what they have and end; then stops what is left.
asio::awaitable<void> Coordinator::dismiss_workers() {
    dispatcher_.dismiss();
    after_events();
    const auto wait_while = [this](auto condition) -> asio::awaitable<void> {
        const auto patience_ends = std::chrono::steady_clock::now() + kStopGrace;
        while (condition() && std::chrono::steady_clock::now() < patience_ends) {
            boost::system::error_code ignored;
            wake_timer_.expires_after(20ms);
            co_await wake_timer_.async_wait(asio::redirect_error(use_awaitable, ignored));
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
        asio::steady_timer timer(io_);
        while (!slurm_->finish()) {
            timer.expires_after(20ms);
            co_await timer.async_wait(use_awaitable);
        }
    }
}

// Those who follow a study ask how it has ended, fetch its table and leave.
asio::awaitable<void> Coordinator::wait_for_followers() {
    const auto patience_ends = std::chrono::steady_clock::now() + kFollowersGrace;
    asio::steady_timer timer(io_);
    while (users_ > 0 && std::chrono::steady_clock::now() < patience_ends) {
        timer.expires_after(20ms);
        co_await timer.async_wait(use_awaitable);
    }
}

}  // namespace orchestrate
