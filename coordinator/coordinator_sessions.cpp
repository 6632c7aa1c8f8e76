// Connections of the coordinator: workers, pilots and people, and what becomes of attempts.
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "common/error.h"
#include "common/time_text.h"
#include "coordinator/coordinator.h"

namespace orchestrate {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

// How long an ended process's last messages may take to be read from its connection.
constexpr auto kLastWordsLimit = 2s;

// A worker connects within seconds; one whose ranks do not come together is started anew.
constexpr auto kStartLimit = 120s;

}  // namespace

asio::awaitable<void> Coordinator::serve(std::shared_ptr<Connection> connection, Hello hello) {
    switch (hello.role) {
        case Role::worker:
            return serve_worker(std::move(connection), std::move(hello));
        case Role::pilot:
            return serve_pilot(std::move(connection), std::move(hello));
        case Role::person:
            break;
    }
    return serve_person(std::move(connection));
}

std::string Coordinator::site_of(const std::string& worker) const {
    return worker.substr(0, worker.find_last_of('-'));
}

Coordinator::Worker& Coordinator::welcome_worker(const std::shared_ptr<Connection>& connection,
                                                 const Hello& hello) {
    Worker& worker = workers_[hello.name];
    if (worker.connection) {
        worker.connection->close();  // half-open: it has come back before we noticed that it had gone
    }
    const bool same_process =
        worker.record.process_id == hello.process_id && worker.record.host == hello.host;
    if (worker.record.row == 0 || !same_process) {
        const auto log_file = std::filesystem::path(hello.log_folder) / (hello.name + ".log");
        worker.record = {0,           hello.name,   hello.host,       hello.process_id,
                         hello.ranks, hello.device, log_file.string()};
        worker.record.row = store_.add_worker(worker.record);
    }
    worker.log_folder = hello.log_folder;
    worker.connection = connection;
    worker.last_heard = std::chrono::steady_clock::now();
    worker.exit.reset();
    Welcome welcome;
    welcome.program_version = options_.program_version;
    welcome.heartbeat_interval_milliseconds = options_.heartbeat_interval.count();
    if (hello.running) {
        const auto job = jobs_.find(hello.running->job);
        welcome.running_is_current = job != jobs_.end() && job->second.attempt == hello.running;
    }
    const bool resumes = welcome.running_is_current;
    if (worker.running && worker.running != hello.running) {
        // It never got its lease: the connection broke before.
        end_attempt({*worker.running, Cause::node_lost, "the worker lost the job with its connection", {}},
                    "");
        worker.running.reset();
    }
    if (resumes) {
        worker.running = hello.running;
        progress_watch_.begin(hello.name, worker.last_heard);
        jobs_.at(hello.running->job).held_until.reset();
        scheduler_.worker_busy(hello.name, site_of(hello.name), hello.ranks, hello.running->job);
    } else {
        scheduler_.worker_ready(hello.name, site_of(hello.name), hello.ranks);
    }
    connection->send(welcome);
    log_->info("worker {} on {} (process {}, {} rank(s), {}) {}", hello.name, hello.host, hello.process_id,
               hello.ranks, hello.device, resumes ? "comes back with its job" : "is ready");
    return worker;
}

asio::awaitable<void> Coordinator::serve_worker(std::shared_ptr<Connection> connection, Hello hello) {
    const std::string name = hello.name;
    welcome_worker(connection, hello);
    if (dismissing_) {
        connection->send(Retire{});
    }
    act();
    try {
        while (true) {
            const Message message = co_await connection->read();
            const auto found = workers_.find(name);
            if (found == workers_.end() || found->second.connection != connection) {
                co_return;  // replaced by a newer connection, or given up
            }
            on_worker_message(found->second, message);
        }
    } catch (const ProtocolError& error) {
        log_->error("worker {} speaks nonsense and is cut off: {}", name, error.what());
        connection->close();
    } catch (const boost::system::system_error& error) {
        log_->info("worker {}: connection ended ({})", name, error.code().message());
    }
    const auto found = workers_.find(name);
    if (found == workers_.end() || found->second.connection != connection) {
        co_return;
    }
    found->second.connection.reset();
    if (!found->second.farewell.empty() && !found->second.running) {
        lose_worker(name, {});
    }
}

void Coordinator::on_worker_message(Worker& worker, const Message& message) {
    worker.last_heard = std::chrono::steady_clock::now();
    if (const auto* heartbeat = std::get_if<Heartbeat>(&message)) {
        progress_watch_.counted(worker.record.name, heartbeat->advances, worker.last_heard);
        if (worker.running) {
            worker.progress.step = std::max(worker.progress.step, heartbeat->step);
        }
        worker.connection->send(Heartbeat{});
    } else if (const auto* progress = std::get_if<AttemptProgress>(&message)) {
        if (worker.running == progress->attempt) {
            worker.progress = progress->progress;
            progress_watch_.advanced(worker.record.name, worker.last_heard);
        }
    } else if (const auto* epoch = std::get_if<AttemptEpoch>(&message)) {
        if (!store_.add_epoch(epoch->attempt, epoch->metrics)) {
            worker.connection->send(StopAttempt{epoch->attempt});
        }
    } else if (const auto* written = std::get_if<CheckpointWritten>(&message)) {
        on_checkpoint(worker, *written);
    } else if (const auto* resumed = std::get_if<AttemptResumed>(&message)) {
        on_resume(worker, *resumed);
    } else if (const auto* ended = std::get_if<AttemptEnded>(&message)) {
        const bool current = end_attempt(*ended, worker.record.name);
        if (worker.running == ended->attempt) {
            worker.running.reset();
            progress_watch_.end(worker.record.name);
            scheduler_.attempt_ended(worker.record.name);
        }
        worker.connection->send(Acknowledged{ended->attempt, !current});
        act();
    } else if (const auto* goodbye = std::get_if<Goodbye>(&message)) {
        worker.farewell = goodbye->reason.empty() ? "left" : goodbye->reason;
        scheduler_.worker_leaving(worker.record.name);
    }
}

void Coordinator::on_checkpoint(Worker& worker, const CheckpointWritten& written) {
    StoredCheckpoint checkpoint = written.checkpoint;
    checkpoint.file = std::filesystem::path(checkpoint.file).filename().string();
    const auto needless = store_.add_checkpoint(written.attempt, checkpoint);
    if (!needless) {
        log_->warn("job {}, attempt {}: its checkpoint at step {} is stale", written.attempt.job,
                   written.attempt.number, checkpoint.step);
        worker.connection->send(StopAttempt{written.attempt});
        return;
    }
    log_->info("job {}, attempt {}: checkpoint at step {}, {} bytes", written.attempt.job,
               written.attempt.number, checkpoint.step, checkpoint.bytes);
    for (const auto& old : *needless) {
        checkpoints_.remove(written.attempt.job, old);
    }
}

void Coordinator::on_resume(Worker& worker, const AttemptResumed& resumed) {
    const auto& [attempt, point] = resumed;
    if (!store_.resume_attempt(attempt, point)) {
        worker.connection->send(StopAttempt{attempt});
        return;
    }
    Job& job = jobs_[attempt.job];
    job.share_resumed =
        point.steps > 0 ? static_cast<double>(point.step) / static_cast<double>(point.steps) : 0;
    const auto text =
        fmt::format("resumes at step {} of {} from attempt {}", point.step, point.steps, point.attempt);
    log_->info("job {}, attempt {} {}", attempt.job, attempt.number, text);
    display_.note(fmt::format("job {}: {}: {}", attempt.job, job.stored.title, text));
}

bool Coordinator::end_attempt(const AttemptEnded& ended, const std::string& worker) {
    Job& job = jobs_[ended.attempt.job];
    const AttemptVerdict verdict = judge_attempt(ended.cause, job.stored.failures, options_.maximum_failures);
    AttemptEnded checked = ended;
    AttemptVerdict decided = verdict;
    if (ended.cause == Cause::succeeded && !ended.result) {
        checked.cause = Cause::worker_crashed;
        checked.message = "the worker reported success without a result";
        decided = judge_attempt(checked.cause, job.stored.failures, options_.maximum_failures);
    }
    if (!store_.end_attempt(checked, decided.next_state, decided.counts_as_failure)) {
        log_->warn("job {}, attempt {}: '{}' from {} is stale", ended.attempt.job, ended.attempt.number,
                   to_string(checked.cause), worker);
        return false;
    }
    log_->info("job {}, attempt {}: {} {}", ended.attempt.job, ended.attempt.number, to_string(checked.cause),
               checked.message);
    job.attempt.reset();
    job.held_until.reset();
    job.stored.state = decided.next_state;
    job.stored.failures += decided.counts_as_failure ? 1 : 0;
    const auto title = fmt::format("job {}: {}", ended.attempt.job,
                                   job.stored.title.empty() ? "of another study" : job.stored.title);
    if (checked.cause == Cause::succeeded) {
        const double seconds = checked.result->total_seconds;
        if (job.share_resumed < 1) {
            job_seconds_.push_back(seconds / (1 - job.share_resumed));
        }
        checkpoints_.remove_job(ended.attempt.job);
        display_.note(fmt::format("{}: accuracy {:.2f} %, macro F1 {:.2f} % in {}", title,
                                  100 * checked.result->test.accuracy, 100 * checked.result->test.macro_f1,
                                  duration_text(std::chrono::duration<double>(seconds))));
    } else if (!interrupted_ && !dismissing_) {
        display_.note(fmt::format("{}: {}{}{}{}", title, to_string(checked.cause),
                                  checked.message.empty() ? "" : ": ", checked.message,
                                  decided.next_state == JobState::waiting
                                      ? "; it is tried again"
                                      : fmt::format("; see orchestrate logs {}", ended.attempt.job)));
    }
    if (decided.next_state == JobState::waiting && !job.stored.title.empty()) {
        scheduler_.add_job(ended.attempt.job, job.stored.resources.ranks, 0);
    }
    stage_timer_.cancel();
    return true;
}

void Coordinator::on_exit(const std::string& site, const SiteWorkerExit& exit) {
    log_->info("worker {} at {} {}", exit.worker, site, exit_text(exit));
    starting_.erase(exit.worker);
    const auto found = workers_.find(exit.worker);
    if (found == workers_.end()) {
        if (scheduler_.knows_worker(exit.worker)) {
            display_.note("worker " + exit.worker + " " + exit_text(exit) + " before it connected; see " +
                          (state_folder(options_.database) / "logs").string());
            scheduler_.worker_gone(exit.worker);
        }
        act();
        return;
    }
    found->second.exit = exit;
    found->second.exited_at = std::chrono::steady_clock::now();
    if (!found->second.connection) {
        lose_worker(exit.worker, {});
    }
}

// Ends what a worker ran, by what is known of its end beside `evidence`.
void Coordinator::lose_worker(const std::string& name, LossEvidence evidence) {
    const auto found = workers_.find(name);
    if (found == workers_.end()) {
        return;
    }
    Worker worker = std::move(found->second);
    workers_.erase(found);
    progress_watch_.end(name);
    if (worker.connection) {
        worker.connection->close();
    }
    evidence.farewell = worker.farewell;
    evidence.exit = worker.exit;
    if (slurm_) {
        evidence.allocation_state = slurm_->end_of(site_of(name));
    }
    const auto [cause, why] = settle_cause(evidence);
    store_.worker_left(worker.record.row, why);
    scheduler_.worker_gone(name);
    if (worker.running) {
        display_.note("worker " + name + " is lost: " + why);
        end_attempt({*worker.running, cause, "worker " + name + " " + why, {}}, name);
    }
    act();
}

void Coordinator::stop_worker_now(const std::string& name) {
    if (const auto site = sites_.find(site_of(name)); site != sites_.end()) {
        site->second->stop(name, 0ms);  // it may be stopped, and would hold its slots
    }
}

void Coordinator::check_workers() {
    const auto now = std::chrono::steady_clock::now();
    std::map<std::string, LossEvidence> losses;
    for (const auto& [name, worker] : workers_) {
        if (worker.exit && (!worker.connection || now - worker.exited_at > kLastWordsLimit)) {
            losses[name] = {};
        } else if (now - worker.last_heard > lost_after()) {
            losses[name].silent_for = lost_after();
            stop_worker_now(name);
        }
    }
    for (const auto& name : progress_watch_.overdue(now)) {
        const auto found = workers_.find(name);
        if (found != workers_.end() && found->second.connection && !losses.contains(name)) {
            losses[name].without_progress = progress_watch_.limit();
            stop_worker_now(name);
        }
    }
    for (auto& [name, evidence] : losses) {
        lose_worker(name, std::move(evidence));
    }
}

// Its exit is reported then, as that of a worker that did not come up.
void Coordinator::check_starting_workers() {
    const auto now = std::chrono::steady_clock::now();
    std::erase_if(starting_, [&](const auto& entry) {
        const bool late = now - entry.second > kStartLimit;
        if (late && !workers_.contains(entry.first)) {
            log_->error("worker {} has not connected within {} s", entry.first,
                        std::chrono::duration_cast<std::chrono::seconds>(kStartLimit).count());
            stop_worker_now(entry.first);
        }
        return late || workers_.contains(entry.first);
    });
}

asio::awaitable<void> Coordinator::serve_pilot(std::shared_ptr<Connection> connection, Hello hello) {
    const std::string name = hello.name;
    log_->info("pilot {} on {} is there with {} slots", name, hello.host, hello.slots);
    display_.note("pilot " + name + " is there with " + std::to_string(hello.slots) + " slots");
    auto owned = std::make_unique<PilotSite>(connection);
    PilotSite* site = owned.get();
    sites_[name] = std::move(owned);
    scheduler_.add_site(name, hello.slots);
    if (slurm_) {
        slurm_->pilot_connected();
    }
    Welcome welcome;
    welcome.program_version = options_.program_version;
    welcome.heartbeat_interval_milliseconds = options_.heartbeat_interval.count();
    connection->send(welcome);
    act();
    try {
        while (true) {
            const Message message = co_await connection->read();
            if (const auto* exited = std::get_if<WorkerExited>(&message)) {
                site->on_exit(*exited);
            } else if (std::holds_alternative<Heartbeat>(message)) {
                connection->send(Heartbeat{});
            }
        }
    } catch (const std::exception& error) {
        log_->info("pilot {}: connection ended ({})", name, error.what());
    }
    if (const auto found = sites_.find(name); found != sites_.end() && found->second.get() == site) {
        for (const auto& exit : site->take_exits()) {
            on_exit(name, exit);
        }
        sites_.erase(name);
        scheduler_.remove_site(name);
    }
}

asio::awaitable<void> Coordinator::serve_person(std::shared_ptr<Connection> connection) {
    Welcome welcome;
    welcome.program_version = options_.program_version;
    connection->send(welcome);
    try {
        while (true) {
            const Message message = co_await connection->read();
            if (std::holds_alternative<StatusRequest>(message)) {
                connection->send(status());
            }
        }
    } catch (const boost::system::system_error&) {
        co_return;  // the person has left
    }
}

}  // namespace orchestrate
