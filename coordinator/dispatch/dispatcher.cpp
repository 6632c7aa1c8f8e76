#include "coordinator/dispatch/dispatcher.h"

#include <algorithm>

#include <fmt/format.h>

#include "common/base/error.h"
#include "common/base/time_text.h"
#include "common/base/visit.h"

namespace orchestrate {

using namespace std::chrono_literals;

namespace {

// While the database cannot be written, what workers report waits in memory; beyond this they keep it themselves.
constexpr std::size_t kMaxPendingChanges = 100'000;

// A worker that needs longer to connect is not waited for where another one can be started.
constexpr auto kUsualStart = 15s;

// Workers that an earlier coordinator started may still come, and stand nowhere until they do: no name of theirs may
// be given again. So each coordinator's numbers begin at a new hundred.
std::int64_t first_number_after(std::int64_t last) {
    return (last + 99) / 100 * 100;
}

}  // namespace

Dispatcher::Dispatcher(DispatcherOptions options, JobStore& store, DispatcherEnv& env, Log log)
    : options_(std::move(options)),
      store_(store),
      env_(env),
      log_(std::move(log)),
      scheduler_(first_number_after(store_.last_worker_number())),
      earlier_workers_(first_number_after(store_.last_worker_number())) {
    store_.observe(*this);
}

Dispatcher::~Dispatcher() {
    store_.stop_observing(*this);
}

void Dispatcher::add_site(const std::string& name, std::unique_ptr<Site> site, int slots) {
    leaving_sites_.erase(name);
    remove_site(name);  // a pilot that comes back before its old connection was noticed to have broken
    sites_[name] = std::move(site);
    site_slots_[name] = slots;
    scheduler_.add_site(name, slots);
    act();
}

void Dispatcher::remove_site(const std::string& name) {
    const auto found = sites_.find(name);
    if (found == sites_.end()) {
        return;
    }
    const std::unique_ptr<Site> site = std::move(found->second);
    sites_.erase(found);
    scheduler_.remove_site(name);
    site_health_.forget(name);
    for (const auto& exit : site->take_exits()) {
        on_exit(name, exit);
    }
    site_slots_.erase(name);
    std::erase_if(children_, [&](const std::string& worker) { return site_of(worker) == name; });
    forget_starting_workers(name);
    act();
}

void Dispatcher::site_leaves(const std::string& name, const std::string& why) {
    leaving_sites_[name] = why.empty() ? "left" : why;
    scheduler_.close_site(name);
}

void Dispatcher::add_jobs(std::span<const JobId> jobs, const JobPlan& plan) {
    for (const JobId job : jobs) {
        store_.set_plan(job, plan);
    }
}

SchedulableJob Dispatcher::schedulable(JobId id) const {
    const Job& job = store_.jobs().at(id);
    const JobPlan plan = job.plan.value_or(JobPlan{});
    const bool one_process = plan.runs_command && commands_in_one_process_;
    return {id, {job.resources.ranks, one_process}, plan.priority, plan.study};
}

void Dispatcher::let_wait(JobId id) {
    const Job& job = store_.jobs().at(id);
    if (job.state == JobState::waiting && job.plan && !restart_pauses_.rests(id)) {
        scheduler_.add_job(schedulable(id));
    }
}

void Dispatcher::end_pauses() {
    for (const JobId id : restart_pauses_.take_over(env_.now())) {
        let_wait(id);
    }
}

void Dispatcher::hold_study(StudyId study, bool held) {
    scheduler_.hold_study(study, held);
    act();
}

void Dispatcher::schedule(std::span<const JobId> jobs) {
    for (const JobId id : jobs) {
        let_wait(id);
    }
    act();
}

void Dispatcher::promote(JobId id, std::int64_t pause_after_epoch) {
    const JobState before = store_.jobs().at(id).state;
    store_.promote(id, pause_after_epoch);
    const Job& job = store_.jobs().at(id);
    if (before == JobState::paused && job.state == JobState::waiting) {
        JobPlan plan = job.plan.value();
        --plan.priority;
        store_.set_plan(id, plan);
        log_->info("job {} ({}) goes on to epoch {}", id, job.title, pause_after_epoch);
        let_wait(id);
        act();
    }
}

void Dispatcher::after_commit(std::function<void()> action) {
    if (store_.pending_changes() == 0 && held_.empty()) {
        action();
    } else {
        held_.push_back(std::move(action));
    }
}

void Dispatcher::send(const Worker& worker, const CoordinatorToWorker& message) {
    if (worker.connection) {
        after_commit([connection = worker.connection, message] { connection->send(message); });
    }
}

void Dispatcher::note(const std::string& line) {
    after_commit([this, line] { env_.note(line); });
}

void Dispatcher::note_job(JobId job, const std::string& line) {
    after_commit([this, job, line] { env_.note_job(job, line); });
}

bool Dispatcher::commit() {
    try {
        store_.commit();
        if (paused_) {
            store_.check_readable();
        }
    } catch (const StoreUnavailable& error) {
        pause(error.what());
        return false;
    }
    report_dropped_changes();
    for (const auto& action : std::exchange(held_, {})) {
        action();
    }
    if (paused_) {
        paused_ = false;
        pause_reason_.clear();
        log_->info("the database can be written again");
        env_.note("the database can be written again; going on");
        act();
    }
    return true;
}

void Dispatcher::pause(const std::string& why) {
    if (!paused_) {
        paused_ = true;
        pause_reason_ = why;
        log_->error("paused: {}", why);
        env_.note("paused: " + why + ". What runs goes on, nothing new begins until it can be written");
    }
}

std::string Dispatcher::site_of(const std::string& worker) {
    return worker.substr(0, worker.find_last_of('-'));
}

bool Dispatcher::worker_connected(const std::shared_ptr<Peer>& connection, const Hello& hello) {
    if (const auto refusal = refusal_of(hello)) {
        log_->warn("refused worker {}: {}", cleaned(hello.name, kMaxNameBytes, Lines::one), *refusal);
        connection->answer(Refused{*refusal});
        return false;
    }
    welcome_worker(connection, hello);
    if (dismissing_) {
        connection->send(Retire{});
    }
    act();
    return true;
}

bool Dispatcher::worker_said(const std::string& name, const std::shared_ptr<Peer>& connection,
                             const WorkerReport& message) {
    return take_message(name, connection, type_of(message),
                        [&](Worker& worker) { take_report(worker, message); });
}

bool Dispatcher::take_message(const std::string& name, const std::shared_ptr<Peer>& connection,
                              const std::string& type, const std::function<void(Worker&)>& take) {
    const auto found = workers_.find(name);
    if (found == workers_.end() || found->second.connection != connection) {
        return false;  // replaced by a newer connection, or given up
    }
    if (paused_ && store_.pending_changes() > kMaxPendingChanges) {
        connection->close();  // it says it again when it comes back
        return true;
    }
    try {
        take(found->second);
    } catch (const StoreUnavailable& error) {
        // It says it again when it comes back.
        pause(error.what());
        connection->close();
    } catch (const SQLite::Exception& error) {
        if (!is_fault_of_a_change(error)) {
            throw;
        }
        worker_failed(name, connection, "its message '" + type + "' failed: " + error.what());
    } catch (const std::exception& error) {
        worker_failed(name, connection, "its message '" + type + "' failed: " + error.what());
    }
    return true;
}

void Dispatcher::worker_disconnected(const std::string& name, const std::shared_ptr<Peer>& connection) {
    const auto found = workers_.find(name);
    if (found == workers_.end() || found->second.connection != connection) {
        return;
    }
    Worker& worker = found->second;
    worker.connection.reset();
    // One whose site tells of its end fills its slots until then.
    if (!worker.goodbye_reason.empty() && !worker.running && (worker.exit || !children_.contains(name))) {
        lose_worker(name, {});
    }
}

void Dispatcher::tick() {
    for (auto& [name, site] : sites_) {
        for (const auto& exit : site->take_exits()) {
            on_exit(name, exit);
        }
    }
    check_workers();
    check_stalls();
    note_overdue();
    check_starting_workers();
    check_broken_sites();
    release_held_attempts();
    end_rests();
    end_pauses();
    note_unsaid_successes();
    act();
}

void Dispatcher::dismiss() {
    dismissing_ = true;
    for (auto& [name, worker] : workers_) {
        if (worker.connection) {
            worker.connection->send(Retire{});
        }
    }
}

void Dispatcher::start_worker(const StartWorkerAt& start) {
    log_->info("starting worker {} with {} {}", start.worker, start.shape.ranks,
               start.shape.is_one_process ? "slot(s) in one process" : "rank(s)");
    launched_.insert_or_assign(start.worker, start.shape);
    Site& site = *sites_.at(start.site);
    site.start(start.worker, start.shape);
    const auto now = env_.now();
    starting_[start.worker] = {now + kUsualStart, now + site.start_limit()};
    children_.insert(start.worker);
}

void Dispatcher::act() {
    if (dismissing_ || paused_) {
        return;
    }
    for (const auto& action : scheduler_.next_actions()) {
        match(
            action, [this](const AssignJob& assignment) { assign(assignment.job, assignment.worker); },
            [this](const StartWorkerAt& start) { start_worker(start); },
            [this](const RetireWorker& retire) {
                log_->info("retiring worker {}", retire.worker);
                if (const auto found = workers_.find(retire.worker); found != workers_.end()) {
                    ask_to_end(found->second);
                }
            },
            [this](const RetractJobs& back) { retract_leases(back); },
            [this](const SiteBroken& broken) {
                log_->error("no worker comes up at {}", broken.site);
                broken_sites_[broken.site] = env_.now();
            });
    }
}

void Dispatcher::on_worker_message(Worker& worker, const WorkerReport& message) {
    worker.last_heard = env_.now();
    match(
        message, [&](const Heartbeat& heartbeat) { on_heartbeat(worker, heartbeat); },
        [&](const AttemptProgress& progress) { on_progress(worker, progress); },
        [&](const AttemptEpoch& epoch) { on_epoch(worker, epoch); },
        [&](const CheckpointWritten& written) { on_checkpoint(worker, written); },
        [&](const AttemptResumed& resumed) { on_resume(worker, resumed); },
        [&](const AttemptEnded& ended) { on_ended(worker, ended); },
        [&](const Goodbye& goodbye) { on_goodbye(worker, goodbye); },
        [&](const WorkerNote& said) { on_note(worker, said); });
}

void Dispatcher::on_heartbeat(Worker& worker, const Heartbeat& heartbeat) {
    progress_watch_.counted(worker.record.name, heartbeat.advances, worker.last_heard);
    if (worker.running) {
        worker.progress.step = std::max(worker.progress.step, heartbeat.step);
    }
    worker.connection->send(Heartbeat{});
}

void Dispatcher::on_progress(Worker& worker, const AttemptProgress& progress) {
    if (worker.running == progress.attempt) {
        worker.progress = progress.progress;
        worker.progress.phase = cleaned(progress.progress.phase, kMaxNameBytes, Lines::one);
        progress_watch_.advanced(worker.record.name, worker.last_heard);
    }
}

void Dispatcher::on_goodbye(Worker& worker, const Goodbye& goodbye) {
    worker.goodbye_reason =
        goodbye.reason.empty() ? "left" : cleaned(goodbye.reason, kMaxLineBytes, Lines::one);
    worker.leaving_since = worker.last_heard;
    scheduler_.worker_leaving(worker.record.name);
}

void Dispatcher::on_note(Worker& worker, const WorkerNote& said) {
    if (worker.notes.take(worker.last_heard)) {
        const std::string text = cleaned(said.text, kMaxLineBytes, Lines::one);
        log_->warn("worker {}: {}", worker.record.name, text);
        note("worker " + worker.record.name + ": " + text);
    }
}

void Dispatcher::on_ended(Worker& worker, const AttemptEnded& reported) {
    if (!holds(worker, reported.attempt)) {
        deliver(worker, reported);
        act();
        return;
    }
    AttemptEnded ended = reported;
    ended.message = cleaned(ended.message, kMaxMessageBytes, Lines::several);
    const std::string name = worker.record.name;
    const bool ran = worker.running == ended.attempt;
    if (ran && ended.cause == Cause::succeeded) {
        const auto now = env_.now();
        prefetch_policy_.took(worker.record.ranks, now - worker.began_at);
        scheduler_.set_prefetch(worker.record.ranks, prefetch_policy_.ahead(worker.record.ranks));
    }
    const AttemptEnded seen = as_seen_here(ended, worker);
    const bool in_trouble = is_trouble_of_the_machine(worker, seen);
    const bool current = end_attempt(seen, name, ran);
    send(worker, Acknowledged{ended.attempt, !current});
    if (current && in_trouble) {
        rest_host(worker, seen);
    }
    if (current && ran && seen.cause == Cause::succeeded && machine_trouble_.succeeded(worker.record.host)) {
        note("jobs succeed again on " + worker.record.host);
    }
    let_go(worker, ended.attempt);
    act();
}

// One answer for all epochs that a commit holds.
void Dispatcher::on_epoch(Worker& worker, const AttemptEpoch& epoch) {
    if (!holds(worker, epoch.attempt) || !store_.add_epoch(epoch.attempt, epoch.metrics, epoch.number)) {
        send(worker, StopAttempt{epoch.attempt});
        return;
    }
    if (epoch.number == 0 || !unanswered_epochs_.insert(epoch.attempt).second) {
        return;
    }
    after_commit([this, attempt = epoch.attempt, connection = worker.connection] {
        unanswered_epochs_.erase(attempt);
        if (const std::int64_t number = store_.epochs_without_gap(attempt); connection && number > 0) {
            connection->send(EpochsStored{attempt, number});
        }
    });
}

// What a worker reports of an end that was caused from outside: a crash that rank 0 reports after its pilot was told to end is
// the end of its other ranks; a worker that is killed reports `preempted` if it can, whatever it is killed for.
AttemptEnded Dispatcher::as_seen_here(AttemptEnded ended, const Worker& worker) {
    LossEvidence evidence;
    const auto leaving = leaving_sites_.find(site_of(worker.record.name));
    if (ended.cause == Cause::worker_crashed && leaving != leaving_sites_.end()) {
        evidence.site_leaves = leaving->second;
        evidence.allocation_state = env_.allocation_state(leaving->first);
        ended.cause = classify_loss(evidence).cause;
        ended.message += ", after its pilot was told to end (" + leaving->second + ")";
    } else if (ended.cause == Cause::preempted && worker.condemned && worker.running == ended.attempt) {
        const auto [cause, why] = classify_loss(*worker.condemned);
        ended.cause = cause;
        ended.message = "worker " + worker.record.name + " " + why;
    }
    return ended;
}

void Dispatcher::on_checkpoint(Worker& worker, const CheckpointWritten& written) {
    StoredCheckpoint checkpoint = written.checkpoint;
    checkpoint.file = std::filesystem::path(checkpoint.file).filename().string();
    if (!holds(worker, written.attempt) || !store_.add_checkpoint(written.attempt, checkpoint)) {
        if (worker.log_lines.take(worker.last_heard)) {
            log_->warn("job {}, attempt {}: its checkpoint at step {} is stale", written.attempt.job,
                       written.attempt.number, checkpoint.step);
        }
        send(worker, StopAttempt{written.attempt});
        return;
    }
    log_->info("job {}, attempt {}: checkpoint at step {}, {} bytes", written.attempt.job,
               written.attempt.number, checkpoint.step, checkpoint.bytes);
    remove_needless_checkpoints(written.attempt);
}

void Dispatcher::remove_needless_checkpoints(const AttemptId& current) {
    after_commit(
        [this, current, kept = store_.checkpoints(current.job)] { env_.keep_checkpoints(current, kept); });
}

void Dispatcher::on_resume(Worker& worker, const AttemptResumed& resumed) {
    const AttemptId& attempt = resumed.attempt;
    ResumePoint point = resumed.point;
    point.file = std::filesystem::path(point.file).filename().string();
    if (!holds(worker, attempt) || !store_.resume_attempt(attempt, point)) {
        send(worker, StopAttempt{attempt});
        return;
    }
    if (!point.file.empty()) {
        remove_needless_checkpoints(attempt);
    }
    assignments_.at(attempt.job).share_resumed =
        point.steps > 0 ? static_cast<double>(point.step) / static_cast<double>(point.steps) : 0;
    const auto text = point.steps > 0 ? fmt::format("resumes at step {} of {} from attempt {}", point.step,
                                                    point.steps, point.attempt)
                                      : fmt::format("goes on from what attempt {} has left", point.attempt);
    log_->info("job {}, attempt {} {}", attempt.job, attempt.number, text);
    note_job(attempt.job,
             fmt::format("job {}: {}: {}", attempt.job, store_.jobs().at(attempt.job).title, text));
}

// Whoever changed it: what no longer waits is not scheduled.
void Dispatcher::job_changed(JobId job, JobState before, JobState now) {
    if (before == JobState::waiting && now != JobState::running) {
        scheduler_.remove_job(job);
    }
    if (is_over(now)) {
        restart_pauses_.forget(job);
    }
    tell_change(job, before, now);
}

void Dispatcher::tell_change(JobId job, JobState before, JobState now) {
    for (JobObserver* observer : observers_) {
        observer->job_changed(job, before, now);
    }
}

const RetryLimits& Dispatcher::limits_of(const Job& job) const {
    const auto found = job.plan ? retry_limits_.find(job.plan->study) : retry_limits_.end();
    return found == retry_limits_.end() ? options_.retry_limits : found->second;
}

bool Dispatcher::end_attempt(AttemptEnded ended, const std::string& worker, bool began) {
    const JobId id = ended.attempt.job;
    const auto assignment = assignments_.find(id);
    if (!ended.seconds && assignment != assignments_.end() && !assignment->second.began_before_restart) {
        ended.seconds = std::chrono::duration<double>(env_.now() - assignment->second.began_at).count();
    }
    const Job* known = store_.find_job(id);
    const auto transition = known == nullptr ? std::nullopt : store_.end_attempt(ended, limits_of(*known));
    if (!transition) {
        return false;
    }
    log_->info("job {}, attempt {}: {} {}", id, ended.attempt.number, to_string(ended.cause), ended.message);
    const double share_resumed = assignment == assignments_.end() ? 0 : assignment->second.share_resumed;
    assignments_.erase(id);
    if (ended.cause == Cause::succeeded) {
        if (share_resumed < 1) {
            job_seconds_ += ended.result->total_seconds / (1 - share_resumed);
            ++timed_jobs_;
        }
        after_commit([this, id] { env_.remove_checkpoints(id); });
    }
    if (is_over(transition->to) && transition->to != JobState::paused) {
        step_cancellations_.erase(id);
    }
    if (ended.asks_again && transition->to == JobState::waiting) {
        const std::chrono::duration<double> ran(ended.seconds.value_or(0));
        restart_pauses_.asked_again(id, ran, env_.now());
    }
    const auto of = workers_.find(worker);
    const bool was_said = of != workers_.end() && ended.cause == Cause::node_lost &&
                          machine_trouble_.is_known(of->second.record.host);
    if (!was_said && (began || ended.cause != Cause::preempted)) {
        note_end(ended);
    }
    let_wait(id);
    if (!worker.empty()) {
        judge_health(worker, id, ended.cause);
    }
    return true;
}

}  // namespace orchestrate
