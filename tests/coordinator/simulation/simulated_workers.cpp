// The worker processes and the network of the simulation. What a worker decides is the core of orchestrate-worker; here
// are the faults of its process, of its connection and of its jobs, and what must hold of it at every moment.
#include <algorithm>
#include <csignal>

#include <fmt/format.h>

#include "tests/coordinator/simulation/simulation_parts.h"

namespace orchestrate::test {
namespace {

constexpr std::int64_t kConnectTimeout = 10'000;
constexpr std::int64_t kMaxReconnectPause = 7500;
constexpr double kCostlySeconds = 1;
constexpr int kKilledBySecondSignal = 128;

std::string name_of(const AttemptId& attempt) {
    return fmt::format("job {}, attempt {}", attempt.job, attempt.number);
}

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
      core(make_core(simulation.mutant_,
                     {hello, std::chrono::milliseconds(simulation.chance(0.2) ? 15'000 : 120'000)}, *this,
                     simulation.workers_disk_, now())) {}

void Simulation::Worker::send(const Message& message) {
    world.check(link && link->welcomed, hello.name + " sends without a connection");
    if (const auto* ended = std::get_if<AttemptEnded>(&message)) {
        check_end(*ended);
        held.erase(ended->attempt);
        reported.insert(ended->attempt);
        // A coordinator that has started since does not know that the pilot leaves, and signalled the ranks that are gone.
        if (!lost_rank.empty() && pilot && pilot->life != link->life) {
            world.of_leaving_pilots_.erase({ended->attempt.job, ended->attempt.number});
        }
        world.handed_back_ += ended->message.starts_with("handed back") ? 1 : 0;
    }
    world.to_coordinator(shared_from_this(), link, message);
}

void Simulation::Worker::start(const Lease& lease) {
    world.check(!trained, fmt::format("{} begins two attempts at a time: {} and {}", hello.name,
                                      name_of(lease.attempt), name_of(trained.value_or(AttemptId{}))));
    world.check(held.contains(lease.attempt),
                fmt::format("{} begins {}, which it does not hold", hello.name, name_of(lease.attempt)));
    world.check(world.begun_.insert(lease.attempt).second, name_of(lease.attempt) + " begins twice");
    trained = lease.attempt;
    began_at = world.now_;
    stop_cause.reset();
    is_fetching = remote && world.chance(0.5);
    std::int64_t pause = 0;
    if (is_fetching) {
        pause = world.between(1, 3000);
        world.at(pause, [worker = shared_from_this(), attempt = lease.attempt] {
            worker->is_fetching = worker->is_fetching && worker->trained != attempt;
        });
    }
    // Most jobs of a life are short, or most are long.
    const auto longest = world.short_jobs_ && !world.chance(0.05) ? 60 : 15'000;
    world.at(pause + world.between(20, longest), [worker = shared_from_this(), attempt = lease.attempt] {
        worker->world.unless_stopped(
            worker, [worker, attempt] { worker->world.worker_ends_attempt(worker, attempt); });
    });
}

bool Simulation::Worker::stop(const AttemptId& attempt, Cause cause) {
    world.check(trained == attempt,
                fmt::format("{} stops {}, which does not run", hello.name, name_of(attempt)));
    if (is_fetching) {
        is_fetching = false;
        trained.reset();
        unacknowledged.insert(attempt);
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
            if (worker->link && worker->link->welcomed) {
                worker->core->on_disconnected(worker->now());
            }
            worker->check_exit();
            worker->world.worker_exits(worker, 0, *worker->exit_code);
        });
    });
}

void Simulation::Worker::hears(const Message& message) {
    heard_at = world.now_;
    if (const auto* accepted = std::get_if<Welcome>(&message)) {
        be_welcomed(*accepted);
        return;
    }
    if (const auto* refused = std::get_if<Refused>(&message)) {
        core->on_refused(refused->reason);
        world.worker_loses_link(shared_from_this(), std::shared_ptr(link), "");
        return;
    }
    if (const auto* lease = std::get_if<Lease>(&message)) {
        world.check(world.leased_.insert(lease->attempt).second,
                    name_of(lease->attempt) + " was given to two workers");
        world.job_identities_[lease->attempt.job] = job_identity(lease->config);
        held.insert(lease->attempt);
    } else if (const auto* acknowledged = std::get_if<Acknowledged>(&message)) {
        const auto& [job, number] = acknowledged->attempt;
        const auto end = world.ends_.find(acknowledged->attempt);
        if (!acknowledged->stale && end != world.ends_.end() && end->second == Cause::succeeded) {
            world.check(world.accepted_.emplace(job, number).first->second == number,
                        fmt::format("job {} has two accepted results, one of attempt {}", job, number));
        }
        world.settled_ends_.insert(acknowledged->attempt);
        unacknowledged.erase(acknowledged->attempt);
    }
    core->on_message(message, now());
    world.most_held_ = std::max(world.most_held_, core->queue().size() + (core->running() ? 1 : 0));
}

void Simulation::Worker::be_welcomed(const Welcome& welcome) {
    link->welcomed = true;
    reported.clear();
    std::erase_if(held, [&](const AttemptId& attempt) {
        return std::find(welcome.current.begin(), welcome.current.end(), attempt) == welcome.current.end();
    });
    if (trained && !held.contains(*trained)) {
        held.insert(*trained);  // until it has stopped
    }
    const auto due = unacknowledged;
    core->on_connected(welcome, "the simulation", now());
    for (const auto& attempt : due) {
        world.check(reported.contains(attempt),
                    fmt::format("{} has reconnected, and does not report the end of {} again", hello.name,
                                name_of(attempt)));
    }
    world.worker_beats(shared_from_this());
}

void Simulation::Worker::report_end() {
    if (!end_to_report) {
        return;
    }
    const AttemptEnded ended = *std::exchange(end_to_report, std::nullopt);
    if (remote) {
        core->save_before_report(ended);
    }
    trained.reset();
    unacknowledged.insert(ended.attempt);
    EpochMetrics epoch;
    epoch.epoch = 1;
    epoch.named = {{"validation", "a", 0.5}};
    core->on_report(AttemptEpoch{ended.attempt, epoch});
    core->on_report(ended);
}

bool Simulation::Worker::is_idle() const {
    return !core->leaving() && !core->ended() && !core->running() && core->queue().empty() &&
           core->results().own().empty() && !trained && lost_rank.empty();
}

// It tells the coordinator all that it holds. What it leaves out would be done again, or never.
void Simulation::Worker::check_hello(const Hello& said) const {
    const auto is_said = [&](const AttemptId& attempt) {
        return std::find(said.held.begin(), said.held.end(), attempt) != said.held.end();
    };
    for (const auto& attempt : unacknowledged) {
        world.check(is_said(attempt),
                    fmt::format("{} has forgotten the end of {}", hello.name, name_of(attempt)));
    }
    for (const auto& attempt : held) {
        // One that leaves gives back what it has not begun.
        world.check(is_said(attempt) || (core->leaving() && trained != attempt),
                    fmt::format("{} has forgotten that it holds {}", hello.name, name_of(attempt)));
    }
}

void Simulation::Worker::check_end(const AttemptEnded& ended) const {
    world.check(trained != ended.attempt || !lost_rank.empty(),
                fmt::format("{} reports the end of {}, which runs", hello.name, name_of(ended.attempt)));
    if (ended.result && ended.result->total_seconds >= kCostlySeconds &&
        unacknowledged.contains(ended.attempt)) {
        world.check(is_on_disk(ended.attempt), fmt::format("{} reports the result of {} before it is on disk",
                                                           hello.name, name_of(ended.attempt)));
    }
}

void Simulation::Worker::check_exit() const {
    world.check(*exit_code != 0 || (!trained && unacknowledged.empty()),
                hello.name + " ends as if nothing were left to do");
    for (const auto& attempt : unacknowledged) {
        const auto end = world.ends_.find(attempt);
        world.check(end == world.ends_.end() || end->second != Cause::succeeded || is_on_disk(attempt),
                    fmt::format("{} ends and takes the result of {} with it", hello.name, name_of(attempt)));
    }
}

// Or the coordinator has had it: from there, or from another worker that found it there.
bool Simulation::Worker::is_on_disk(const AttemptId& attempt) const {
    const auto files = world.workers_disk_.list(kSpoolFolder);
    const auto file = fmt::format("job-{}-attempt-{}.result", attempt.job, attempt.number);
    return world.settled_ends_.contains(attempt) ||
           std::find(files.begin(), files.end(), file) != files.end();
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
        settle();
    });
}

void Simulation::worker_reconnects(const std::shared_ptr<Worker>& worker) {
    const double jitter = std::uniform_real_distribution<double>(0.5, 1.5)(random_);
    if (const auto pause = worker->core->reconnect_after(worker->now(), jitter)) {
        check(pause->count() > 0 && pause->count() <= kMaxReconnectPause,
              fmt::format("{} waits {} ms before it connects again", worker->hello.name, pause->count()));
        at(pause->count(), [this, worker] { worker_connects(worker); });
    } else {
        check(worker->exit_code.has_value(), worker->hello.name + " neither connects again nor ends");
    }
}

void Simulation::break_link(const std::shared_ptr<Link>& link) {
    if (std::exchange(link->broken, true)) {
        return;
    }
    // A cut network tells neither side; they notice by the silence.
    const auto worker = link->worker;
    if (worker->partitioned) {
        return;
    }
    at(between(1, 1000), [this, worker, link] {
        unless_stopped(worker, [this, worker, link] { worker_loses_link(worker, link, "connection reset"); });
    });
    at(between(1, 50), [this, worker, link] {
        if (coordinator_ && coordinator_->life == link->life) {
            coordinator_->dispatcher.worker_disconnected(worker->hello.name, link);
            settle();
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
        worker->core->on_disconnected(worker->now());
    } else if (!why.empty()) {
        worker->core->on_unreachable(why);
    }
    worker_reconnects(worker);
}

void Simulation::to_worker(const std::shared_ptr<Link>& link, const Message& message) {
    // The first message on a connection comes first; later ones may overtake each other.
    const bool first = std::holds_alternative<Welcome>(message) || std::holds_alternative<Refused>(message);
    at(first ? 1 : between(2, chance(0.05) ? 2000 : 20), [this, link, message, first] {
        const bool is_early = !first && !link->welcomed;
        if ((link->worker->partitioned || is_early) && !link->broken) {
            at(is_early ? 100 : 500, [this, link, message] { to_worker(link, message); });
            return;
        }
        if (link->worker->partitioned || is_early) {
            return;
        }
        worker_hears(link->worker, link, message);
        if (std::holds_alternative<Acknowledged>(message) && chance(0.05)) {
            worker_hears(link->worker, link, message);
        }
    });
}

void Simulation::to_coordinator(const std::shared_ptr<Worker>& worker, const std::shared_ptr<Link>& link,
                                const Message& message) {
    if (!link) {
        return;
    }
    at(between(1, chance(0.05) ? 2000 : 20), [this, worker, link, message] {
        if (worker->partitioned && !link->broken) {
            at(500, [this, worker, link, message] { to_coordinator(worker, link, message); });
            return;
        }
        const int times = chance(0.05) ? 2 : 1;
        for (int i = 0; i < times && coordinator_ && coordinator_->life == link->life; ++i) {
            if (!coordinator_->dispatcher.said(worker->hello.name, link, message)) {
                break_link(link);
            }
            settle();
        }
    });
}

void Simulation::worker_hears(const std::shared_ptr<Worker>& worker, const std::shared_ptr<Link>& link,
                              const Message& message) {
    unless_stopped(worker, [worker, link, message] {
        if (worker->link == link) {
            worker->hears(message);
        }
    });
}

void Simulation::worker_beats(const std::shared_ptr<Worker>& worker) {
    const auto link = worker->link;
    if (!worker->core->beat({0, 0, worker->lost_rank}, worker->now())) {
        worker_loses_link(worker, link, "");
        return;
    }
    check(now_ - worker->heard_at <= 3 * kHeartbeat,
          worker->hello.name + " keeps a connection although the coordinator is silent");
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
    if (poisoned || (trouble_ && chance(short_jobs_ ? 0.01 : 0.05))) {
        worker_exits(worker, SIGSEGV);
        return;
    }
    AttemptEnded ended{attempt, Cause::succeeded, "", AttemptResult{}};
    ended.job_identity = job_identities_.at(attempt.job);
    ended.result->of_command = true;
    ended.result->total_seconds = static_cast<double>(now_ - worker->began_at) / 1000;
    ended.result->named = {{"validation", "a", static_cast<double>(attempt.job)}, {"test", "a", 1}};
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
    at(between(0, worker->remote ? 5000 : 5),
       [this, worker] { unless_stopped(worker, [worker] { worker->report_end(); }); });
}

void Simulation::worker_gets_signal(const std::shared_ptr<Worker>& worker, int signal) {
    unless_stopped(worker, [this, worker, signal] {
        say(fmt::format("{} gets signal {}", worker->hello.name, signal));
        if (std::exchange(worker->was_signalled, true)) {
            worker_exits(worker, 0, kKilledBySecondSignal + signal);
        } else {
            worker->core->on_signal(signal);
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
