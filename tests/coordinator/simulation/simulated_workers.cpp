// The worker processes and the network of the simulation. What a worker decides is the core of orchestrate-worker; here
// are the faults of its process, of its connection and of its jobs, and what must hold of it at every moment.
#include <algorithm>
#include <csignal>

#include <fmt/format.h>

#include "common/base/visit.h"
#include "tests/coordinator/simulation/simulation_parts.h"

namespace orchestrate::test {
namespace {

constexpr std::int64_t kConnectTimeout = 10'000;
constexpr int kKilledBySecondSignal = 128;

Log no_log() {
    return std::make_shared<spdlog::logger>("null", std::make_shared<spdlog::sinks::null_sink_st>());
}

std::unique_ptr<WorkerCore> make_core(const WorkerMutant* mutant, WorkerCore::Options options, WorkerEnv& env,
                                      DurableFiles& files, WorkerCore::Time now) {
    return mutant != nullptr ? mutant->make(std::move(options), env, files, no_log(), now)
                             : std::make_unique<WorkerCore>(std::move(options), env, files, no_log(), now);
}

}  // namespace

Simulation::Worker::Worker(Simulation& simulation, Hello who, std::shared_ptr<Pilot> of_pilot)
    : world(simulation),
      hello(std::move(who)),
      pilot(std::move(of_pilot)),
      orphan_limit(simulation.chance(0.2) ? 15'000 : 120'000),
      core(make_core(simulation.mutant_, {hello, std::chrono::milliseconds(orphan_limit)}, *this,
                     simulation.workers_disk_, now())),
      heard_at(simulation.now_),
      reached_at(simulation.now_) {}

void Simulation::Worker::send(const WorkerReport& message) {
    check(is_connected(), "sends without a connection");
    if (const auto* ended = std::get_if<AttemptEnded>(&message)) {
        check_end(*ended);
        std::erase(held, ended->attempt);
        reported.insert(ended->attempt);
        // A coordinator that has started since does not know that the pilot leaves, and signalled the ranks that are gone.
        if (!lost_rank.empty() && pilot && pilot->life != link->life) {
            world.of_leaving_pilots_.erase({ended->attempt.job, ended->attempt.number});
        }
        world.handed_back_ += ended->message.starts_with("handed back") ? 1 : 0;
    } else if (const auto* epoch = std::get_if<AttemptEpoch>(&message)) {
        epochs_due.erase(epoch->attempt);
    }
    said_goodbye = said_goodbye || std::holds_alternative<Goodbye>(message);
    world.to_coordinator(shared_from_this(), link, message);
}

void Simulation::Worker::start(const Lease& lease) {
    const AttemptId attempt = lease.attempt;
    check(!trained,
          fmt::format("begins {} while {} runs", name_of(attempt), name_of(trained.value_or(attempt))));
    check(!held.empty() && held.front() == attempt,
          fmt::format("begins {}, although {} comes next", name_of(attempt),
                      held.empty() ? "nothing" : name_of(held.front())));
    check(world.begun_.insert(attempt).second, fmt::format("begins {} again", name_of(attempt)));
    trained = attempt;
    began_at = world.now_;
    stop_cause.reset();
    is_fetching = remote && world.chance(0.5);
    // Most jobs of a life are short, or most are long.
    const auto longest = world.prefetch_policy_ && !world.chance(0.05) ? 60 : 15'000;
    const auto pause = is_fetching ? world.between(1, 3000) : 0;
    const auto duration = world.between(20, longest);
    const auto later = [this](std::int64_t delay, const std::function<void()>& what) {
        world.at(delay, [worker = shared_from_this(), what] { worker->world.unless_stopped(worker, what); });
    };
    later(pause, [this, attempt] { is_fetching = is_fetching && trained != attempt; });
    later(pause + duration / 2, [this, attempt] {
        if (trained == attempt && !end_to_report && lost_rank.empty()) {
            report_epoch(1);
        }
    });
    later(pause + duration, [this, attempt] { world.worker_ends_attempt(shared_from_this(), attempt); });
}

bool Simulation::Worker::stop(const AttemptId& attempt, Cause cause) {
    check(trained == attempt, fmt::format("stops {}, which does not run", name_of(attempt)));
    if (is_fetching) {
        is_fetching = false;
        trained.reset();
        std::erase(held, attempt);
        unacknowledged.emplace(attempt, 0);
        return false;
    }
    stop_cause = cause;
    world.at(world.between(1, 3000), [worker = shared_from_this(), attempt] {
        worker->world.unless_stopped(
            worker, [worker, attempt] { worker->world.worker_ends_attempt(worker, attempt); });
    });
    return true;
}

void Simulation::Worker::drop_transfers(const AttemptId& attempt) {
    if (remote && trained == attempt) {
        report_end();
    }
}

void Simulation::Worker::end(int code) {
    if (std::exchange(exit_code, code)) {
        return;
    }
    world.at(world.between(1, 100), [worker = shared_from_this()] {
        worker->world.unless_stopped(worker, [worker] {
            if (worker->is_connected()) {
                worker->disconnect();
            }
            worker->check_exit();
            worker->world.worker_exits(worker, 0, *worker->exit_code);
        });
    });
}

void Simulation::Worker::is_answered(const HelloReply& reply) {
    heard_at = world.now_;
    match(
        reply, [this](const Welcome& welcome) { be_welcomed(welcome); },
        [this](const Refused& refused) {
            was_refused = true;
            core->on_refused(refused.reason);
            world.worker_loses_link(shared_from_this(), std::shared_ptr(link), "");
        });
}

void Simulation::Worker::hears(const CoordinatorToWorker& message) {
    heard_at = world.now_;
    if (const auto* lease = std::get_if<Lease>(&message)) {
        world.check(world.leased_.insert(lease->attempt).second,
                    name_of(lease->attempt) + " was given to two workers");
        world.job_identities_[lease->attempt.job] = job_identity(lease->config);
        held.push_back(lease->attempt);
    } else if (const auto* acknowledged = std::get_if<Acknowledged>(&message)) {
        const auto& [job, number] = acknowledged->attempt;
        const auto end = world.ends_.find(acknowledged->attempt);
        if (!acknowledged->stale && end != world.ends_.end() && end->second == Cause::succeeded) {
            world.check(world.accepted_.emplace(job, number).first->second == number,
                        fmt::format("job {} has two accepted results, one of attempt {}", job, number));
        }
        world.classified_ends_.insert(acknowledged->attempt);
        unacknowledged.erase(acknowledged->attempt);
    }
    core->on_message(message, now());
    world.max_held_ = std::max(world.max_held_, core->queue().size() + (core->running() ? 1 : 0));
    const auto* asked = std::get_if<StopAttempt>(&message);
    check(asked == nullptr || trained != asked->attempt || stop_cause,
          "does not stop what it is asked to stop");
    check_state();
}

void Simulation::Worker::be_welcomed(const Welcome& welcome) {
    link->welcomed = true;
    failed_connections = 0;
    reported.clear();
    said_goodbye = false;
    const auto is_stale = [&](const AttemptId& attempt) {
        return std::find(welcome.current.begin(), welcome.current.end(), attempt) == welcome.current.end();
    };
    const auto stale = trained && is_stale(*trained) ? trained : std::nullopt;
    // What runs is held until it has stopped. What was dropped since the hello, because of a signal, is given up when the
    // worker has ended.
    std::erase_if(held, [&](const AttemptId& attempt) {
        return (is_stale(attempt) || core->leaving()) && attempt != trained;
    });
    std::set<AttemptId> ends_due;
    for (const auto& [attempt, beats] : unacknowledged) {
        ends_due.insert(attempt);
    }
    core->on_connected(welcome, "the simulation", now());
    check_welcomed(welcome, ends_due, stale);
    epochs_due.clear();
    check_state();
    world.worker_beats(shared_from_this());
}

bool Simulation::Worker::beat() {
    beats_with_lost_rank += lost_rank.empty() || world.now_ - heard_at > kSilence ? 0 : 1;
    const bool stays = core->beat({0, 0, lost_rank}, now());
    for (auto& [attempt, beats] : unacknowledged) {
        beats += stays ? 1 : 0;
    }
    check_beat(stays);
    check_state();
    return stays;
}

void Simulation::Worker::disconnect() {
    core->on_disconnected(now());
    reached_at = world.now_;
    check_on_disk(0);
}

std::optional<std::int64_t> Simulation::Worker::reconnect_after() {
    const double jitter = std::uniform_real_distribution<double>(0.5, 1.5)(world.random_);
    const auto pause = core->reconnect_after(now(), jitter);
    const auto milliseconds = pause ? std::optional<std::int64_t>(pause->count()) : std::nullopt;
    check_pause(milliseconds);
    ++failed_connections;
    return milliseconds;
}

void Simulation::Worker::report_epoch(std::int64_t number) {
    EpochMetrics epoch;
    epoch.epoch = number;
    epoch.of_command = true;
    epoch.metrics = {{MetricPart::validation, "a", 0.5}};
    if (!is_connected()) {
        epochs_due.insert(*trained);
    }
    core->on_report(AttemptEpoch{*trained, epoch});
}

void Simulation::Worker::report_end() {
    if (!end_to_report) {
        return;
    }
    if (remote) {
        core->save_before_report(*end_to_report);
    }
    report_epoch(2);
    const AttemptEnded ended = *std::exchange(end_to_report, std::nullopt);
    trained.reset();
    std::erase(held, ended.attempt);
    unacknowledged.emplace(ended.attempt, 0);
    core->on_report(ended);
    if (!is_connected()) {
        check_on_disk(0);
    }
}

bool Simulation::Worker::is_connected() const {
    return link && link->welcomed;
}

bool Simulation::Worker::is_idle() const {
    return !core->leaving() && !core->ended() && !core->running() && core->queue().empty() &&
           core->results().own().empty() && !trained && lost_rank.empty();
}

void Simulation::unless_stopped(const std::shared_ptr<Worker>& worker, std::function<void()> what) {
    if (worker->stopped) {
        worker->waiting.push_back(std::move(what));
    } else if (worker->alive) {
        what();
    }
}

void Simulation::start_worker(const std::string& name, Site& site) {
    if (trouble_ && failed_starts_ == 0 && chance(0.1)) {
        ++failed_starts_;
        site.exits.push_back({name, 0, 0, "no such program"});
        return;
    }
    Hello hello;
    hello.role = Role::worker;
    hello.name = name;
    hello.host = "host";
    hello.process_id = ++next_process_;
    hello.device = "cpu";
    hello.lease_capacity = chance(0.2) ? 1 : 6;
    hello.log_folder = "/logs";
    auto worker = std::make_shared<Worker>(*this, std::move(hello), site.pilot);
    made_workers_.push_back(worker);
    worker->sick = trouble_ && chance(0.05);
    worker->remote = chance(0.1);
    worker->life_that_started_it = coordinator_->life;
    processes_[worker->hello.process_id] = worker;
    at(between(20, site.pilot ? 5000 : 500), [this, worker] { worker_connects(worker); });
}

void Simulation::worker_connects(const std::shared_ptr<Worker>& worker) {
    unless_stopped(worker, [this, worker] {
        if (worker->core->ended()) {
            return;
        }
        worker->core->open_results(kSpoolFolder);
        const Hello hello = worker->core->hello();
        worker->check_hello(hello);
        if (!coordinator_ || !coordinator_->recovered || worker->partitioned) {
            at(worker->partitioned ? kConnectTimeout : between(1, 100), [this, worker] {
                unless_stopped(worker, [this, worker] {
                    worker->core->on_unreachable("connection refused");
                    worker_reconnects(worker);
                });
            });
            return;
        }
        worker->was_connected = true;
        failed_starts_ = 0;
        const auto link = std::make_shared<Link>(*this, worker, coordinator_->life);
        worker->link = link;
        at(kConnectTimeout, [this, worker, link] {
            unless_stopped(worker, [this, worker, link] {
                if (!link->welcomed) {
                    worker_loses_link(worker, link, "no answer");
                }
            });
        });
        coordinator_->dispatcher.connected(link, hello);
        after_events();
    });
}

void Simulation::worker_reconnects(const std::shared_ptr<Worker>& worker) {
    if (const auto pause = worker->reconnect_after()) {
        at(*pause, [this, worker] { worker_connects(worker); });
    }
}

void Simulation::break_link(const std::shared_ptr<Link>& link) {
    if (!std::exchange(link->broken, true)) {
        link->is_cut = link->worker->partitioned;
        tell_of_broken_link(link);
    }
}

// A cut network tells neither side before it is whole again; they notice by the silence.
void Simulation::tell_of_broken_link(const std::shared_ptr<Link>& link) {
    const auto worker = link->worker;
    if (worker->partitioned) {
        at(500, [this, link] { tell_of_broken_link(link); });
        return;
    }
    at(between(1, 1000), [this, worker, link] {
        unless_stopped(worker, [this, worker, link] { worker_loses_link(worker, link, "connection reset"); });
    });
    at(between(1, 50), [this, worker, link] {
        if (coordinator_ && coordinator_->life == link->life) {
            coordinator_->dispatcher.worker_disconnected(worker->hello.name, link);
            after_events();
        }
    });
}

void Simulation::worker_loses_link(const std::shared_ptr<Worker>& worker, const std::shared_ptr<Link>& link,
                                   const std::string& why) {
    if (worker->link != link) {
        return;
    }
    worker->link.reset();
    break_link(link);
    if (link->welcomed && !why.empty()) {
        worker->core->on_connection_lost(why);
    }
    if (link->welcomed) {
        worker->disconnect();
    } else if (!why.empty()) {
        worker->core->on_unreachable(why);
    }
    worker_reconnects(worker);
}

void Simulation::to_worker(const std::shared_ptr<Link>& link, const ToWorker& message) {
    // The first message on a connection comes first; later ones may overtake each other.
    const bool first = std::holds_alternative<HelloReply>(message);
    at(first ? 1 : between(2, chance(0.05) ? 2000 : 20), [this, link, message, first] {
        const bool is_early = !first && !link->welcomed;
        if (link->is_cut || (link->broken && is_early)) {
            return;
        }
        if (link->worker->partitioned || is_early) {
            at(is_early ? 100 : 500, [this, link, message] { to_worker(link, message); });
            return;
        }
        worker_hears(link->worker, link, message);
        const auto* told = std::get_if<CoordinatorToWorker>(&message);
        if (told != nullptr && std::holds_alternative<Acknowledged>(*told) && chance(0.05)) {
            worker_hears(link->worker, link, message);
        }
    });
}

void Simulation::to_coordinator(const std::shared_ptr<Worker>& worker, const std::shared_ptr<Link>& link,
                                const WorkerReport& message) {
    if (!link) {
        return;
    }
    at(between(1, chance(0.05) ? 2000 : 20), [this, worker, link, message] {
        if (link->is_cut) {
            return;
        }
        if (worker->partitioned) {
            at(500, [this, worker, link, message] { to_coordinator(worker, link, message); });
            return;
        }
        const int times = chance(0.05) ? 2 : 1;
        for (int i = 0; i < times && coordinator_ && coordinator_->life == link->life; ++i) {
            if (!coordinator_->dispatcher.said(worker->hello.name, link, message)) {
                break_link(link);
            }
            after_events();
        }
    });
}

void Simulation::worker_hears(const std::shared_ptr<Worker>& worker, const std::shared_ptr<Link>& link,
                              const ToWorker& message) {
    unless_stopped(worker, [worker, link, message] {
        if (worker->link == link) {
            match(
                message, [&](const HelloReply& reply) { worker->is_answered(reply); },
                [&](const CoordinatorToWorker& told) { worker->hears(told); });
        }
    });
}

void Simulation::worker_beats(const std::shared_ptr<Worker>& worker) {
    const auto link = worker->link;
    if (!worker->beat()) {
        worker_loses_link(worker, link, "");
        return;
    }
    at(kHeartbeat, [this, worker, link] {
        unless_stopped(worker, [this, worker, link] {
            if (worker->link == link) {
                worker_beats(worker);
            }
        });
    });
}

void Simulation::worker_ends_attempt(const std::shared_ptr<Worker>& worker, const AttemptId& attempt) {
    if (worker->trained != attempt || worker->end_to_report) {
        return;
    }
    if (!worker->lost_rank.empty() && worker->is_held_up) {
        return;
    }
    const bool poisoned = takes_down_workers(attempt.job);
    taken_down_ += poisoned ? 1 : 0;
    // Some of its crashes are counted against the job before it, whose end was lost with the worker.
    check(taken_down_ <= 10 * lives_, "a job takes down workers although it should be in quarantine");
    if (poisoned || (trouble_ && chance(prefetch_policy_ ? 0.01 : 0.05))) {
        worker_exits(worker, SIGSEGV);
        return;
    }
    AttemptEnded ended{attempt, Cause::succeeded, "", AttemptResult{}};
    ended.job_identity = job_identities_.at(attempt.job);
    ended.result->of_command = true;
    ended.result->total_seconds = static_cast<double>(now_ - worker->began_at) / 1000;
    ended.result->metrics = {{MetricPart::validation, "a", static_cast<double>(attempt.job.value())},
                             {MetricPart::test, "a", 1}};
    ended.result->parameters = attempt.number;  // so that the database shows whose result it is
    if (!worker->lost_rank.empty()) {
        ended.cause = Cause::node_lost;
        worker->has_failed_ranks = true;
    } else if (worker->sick) {
        ended.cause = Cause::user_error;
    } else if (worker->stop_cause) {
        ended.cause = *worker->stop_cause;
    } else if (chance(0.15)) {
        ended.cause = chance(0.7) ? Cause::preempted : Cause::diverged;
    }
    if (ended.cause != Cause::succeeded) {
        ended.result.reset();
    }
    ends_[attempt] = ended.cause;
    worker->end_to_report = ended;
    if (!worker->remote) {
        worker->core->save_before_report(ended);
    }
    at(between(0, worker->remote ? 5000 : 5), [this, worker] {
        unless_stopped(worker, [worker] {
            worker->report_end();
            worker->check_state();
        });
    });
}

void Simulation::worker_gets_signal(const std::shared_ptr<Worker>& worker, int signal) {
    unless_stopped(worker, [this, worker, signal] {
        say(fmt::format("{} gets signal {}", worker->hello.name, signal));
        if (std::exchange(worker->was_signalled, true)) {
            worker_exits(worker, 0, kKilledBySecondSignal + signal);
        } else {
            worker->core->on_signal(signal);
            worker->check_state();
        }
    });
}

void Simulation::worker_exits(const std::shared_ptr<Worker>& worker, int signal, int exit_code) {
    if (!std::exchange(worker->alive, false)) {
        return;
    }
    say(fmt::format("{} ends by signal {}, with exit code {}", worker->hello.name, signal, exit_code));
    processes_.erase(worker->hello.process_id);
    if (worker->link) {
        break_link(worker->link);
    }
    Site* site = worker->pilot ? worker->pilot->site : coordinator_ ? coordinator_->site : nullptr;
    const int life = worker->pilot ? worker->pilot->life : worker->life_that_started_it;
    if (coordinator_ && site != nullptr && coordinator_->life == life) {
        site->exits.push_back({worker->hello.name, exit_code, signal, ""});
    }
}

}  // namespace orchestrate::test
