// The workers and the network of the simulation: what orchestrate-worker does about messages, without training.
#include <algorithm>

#include <fmt/format.h>

#include "common/base/visit.h"
#include "tests/coordinator/simulation/simulation_parts.h"

namespace orchestrate::test {
namespace {

constexpr std::int64_t kOrphanLimit = 120'000;

}  // namespace

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
    auto worker = std::make_shared<Worker>();
    worker->hello.role = Role::worker;
    worker->hello.name = name;
    worker->hello.host = "host";
    worker->hello.process_id = ++next_process_;
    worker->hello.device = "cpu";
    worker->hello.lease_capacity = chance(0.2) ? 1 : 6;
    worker->hello.log_folder = "/logs";
    worker->sick = trouble_ && chance(0.05);
    worker->heard_at = now_;
    worker->life_that_started_it = coordinator_->life;
    worker->pilot = site.pilot;
    processes_[worker->hello.process_id] = worker;
    at(between(20, site.pilot ? 5000 : 500), [this, worker] { worker_connects(worker); });
}

void Simulation::worker_connects(const std::shared_ptr<Worker>& worker) {
    unless_stopped(worker, [this, worker] {
        if (now_ - worker->heard_at > kOrphanLimit) {
            worker_exits(worker, 0);
            return;
        }
        if (!coordinator_ || !coordinator_->recovered || worker->partitioned) {
            at(between(100, 2000), [this, worker] { worker_connects(worker); });
            return;
        }
        worker->was_connected = true;
        failed_starts_ = 0;
        worker->link = std::make_shared<Link>(*this, worker, coordinator_->life);
        worker->heard_at = now_;
        auto& held = worker->hello.held;
        held.clear();
        for (const auto& ended : worker->unacknowledged) {
            held.push_back(ended.attempt);
        }
        if (worker->running) {
            held.push_back(*worker->running);
        }
        held.insert(held.end(), worker->queue.begin(), worker->queue.end());
        worker->hello.running = worker->running ? worker->running
                                : held.empty()  ? std::nullopt
                                                : std::optional(held.front());
        coordinator_->dispatcher.connected(worker->link, worker->hello);
        settle();
    });
}

void Simulation::break_link(const std::shared_ptr<Link>& link) {
    if (std::exchange(link->broken, true)) {
        return;
    }
    const auto worker = link->worker;
    // A cut network tells neither side; they notice by the silence.
    const bool told = !worker->partitioned;
    at(told ? between(1, 1000) : 3 * kHeartbeat, [this, worker, link] {
        if (worker->link == link) {
            worker->link.reset();
            worker_connects(worker);
        }
    });
    if (told) {
        at(between(1, 50), [this, worker, link] {
            if (coordinator_ && coordinator_->life == link->life) {
                coordinator_->dispatcher.worker_disconnected(worker->hello.name, link);
                settle();
            }
        });
    }
}

void Simulation::to_worker(const std::shared_ptr<Link>& link, const ToWorker& message) {
    // The first message on a connection comes first; later ones may overtake each other.
    const bool first = std::holds_alternative<HelloReply>(message);
    at(first ? 1 : between(2, chance(0.05) ? 2000 : 20), [this, link, message] {
        if (link->worker->partitioned && !link->broken) {
            at(500, [this, link, message] { to_worker(link, message); });
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
                              const ToWorker& message) {
    unless_stopped(worker, [this, worker, link, message] {
        if (worker->link != link) {
            return;
        }
        worker->heard_at = now_;
        match(
            message, [&](const HelloReply& reply) { worker_is_answered(worker, link, reply); },
            [&](const CoordinatorToWorker& told) { worker_is_told(worker, link, told); });
        if (worker->leaving && !worker->running && worker->unacknowledged.empty()) {
            to_coordinator(worker, link, Goodbye{"retired"});
            at(100, [this, worker] { worker_exits(worker, 0); });
        }
    });
}

void Simulation::worker_is_answered(const std::shared_ptr<Worker>& worker, const std::shared_ptr<Link>& link,
                                    const HelloReply& reply) {
    match(
        reply, [&](const Refused&) { at(1, [this, worker] { worker_exits(worker, 0); }); },
        [&](const Welcome& welcome) {
            const auto is_stale = [&current = welcome.current](const AttemptId& attempt) {
                return std::find(current.begin(), current.end(), attempt) == current.end();
            };
            std::erase_if(worker->unacknowledged,
                          [&](const AttemptEnded& ended) { return is_stale(ended.attempt); });
            std::erase_if(worker->queue, is_stale);
            if (worker->running && is_stale(*worker->running)) {
                worker->running.reset();
            }
            worker_begins_next(worker);
            for (const auto& ended : worker->unacknowledged) {
                to_coordinator(worker, link, ended);
            }
            worker_beats(worker);
        });
}

void Simulation::worker_is_told(const std::shared_ptr<Worker>& worker, const std::shared_ptr<Link>& link,
                                const CoordinatorToWorker& message) {
    match(
        message, [&](const Lease& lease) { worker_takes(worker, lease); },
        [&](const Acknowledged& acknowledged) {
            for (const auto& ended : worker->unacknowledged) {
                if (ended.attempt == acknowledged.attempt && !acknowledged.stale &&
                    ended.cause == Cause::succeeded) {
                    const auto& [job, number] = ended.attempt;
                    check(accepted_.emplace(job, number).first->second == number,
                          fmt::format("job {} has two accepted results, one of attempt {}", job, number));
                }
            }
            std::erase_if(worker->unacknowledged,
                          [&](const AttemptEnded& ended) { return ended.attempt == acknowledged.attempt; });
        },
        [&](const StopAttempt& stop) {
            if (worker->running == stop.attempt) {
                worker->running.reset();
                worker->unacknowledged.push_back({stop.attempt, Cause::cancelled, "", {}, ""});
                to_coordinator(worker, link, worker->unacknowledged.back());
                worker_begins_next(worker);
            }
        },
        [&](const HandBack& back) {
            for (const auto& attempt : back.attempts) {
                if (std::erase(worker->queue, attempt) > 0) {
                    to_coordinator(worker, link,
                                   AttemptEnded{attempt, Cause::preempted, kHandedBack, {}, ""});
                    ++handed_back_;
                }
            }
        },
        [&](const Retire&) {
            worker->leaving = true;
            for (const auto& attempt : std::exchange(worker->queue, {})) {
                to_coordinator(worker, link, AttemptEnded{attempt, Cause::preempted, "leaving", {}, ""});
            }
        },
        [](const Heartbeat&) {}, [](const EpochsStored&) {}, [](const ParcelProgress&) {},
        [](const CheckpointChunk&) {});
}

void Simulation::worker_beats(const std::shared_ptr<Worker>& worker) {
    const auto link = worker->link;
    to_coordinator(worker, link, Heartbeat{});
    at(kHeartbeat, [this, worker, link] {
        unless_stopped(worker, [this, worker, link] {
            if (worker->link != link) {
                return;
            }
            if (now_ - worker->heard_at > 3 * kHeartbeat) {
                break_link(link);
                worker->link.reset();
                worker_connects(worker);
            } else {
                worker_beats(worker);
            }
        });
    });
}

void Simulation::worker_takes(const std::shared_ptr<Worker>& worker, const Lease& lease) {
    check(
        begun_.insert({lease.attempt.job, lease.attempt.number}).second,
        fmt::format("job {}, attempt {} was given to two workers", lease.attempt.job, lease.attempt.number));
    if (worker->leaving) {
        to_coordinator(worker, worker->link,
                       AttemptEnded{lease.attempt, Cause::preempted, "leaving", {}, ""});
        return;
    }
    job_identities_[lease.attempt.job] = job_identity(lease.config);
    worker->queue.push_back(lease.attempt);
    most_held_ = std::max(most_held_, worker->queue.size() + (worker->running ? 1 : 0));
    worker_begins_next(worker);
}

void Simulation::worker_begins_next(const std::shared_ptr<Worker>& worker) {
    if (worker->running || worker->queue.empty()) {
        return;
    }
    worker->running = worker->queue.front();
    worker->queue.pop_front();
    // Most jobs of a life are short, or most are long.
    const auto longest = short_jobs_ && !chance(0.05) ? 60 : 15'000;
    at(between(20, longest), [this, worker, attempt = *worker->running] {
        unless_stopped(worker, [this, worker, attempt] { worker_ends_attempt(worker, attempt); });
    });
}

void Simulation::worker_ends_attempt(const std::shared_ptr<Worker>& worker, const AttemptId& attempt) {
    if (worker->running != attempt) {
        return;
    }
    const bool poisoned = takes_down_workers(attempt.job);
    taken_down_ += poisoned ? 1 : 0;
    // Some of its crashes are counted against the job before it, whose end was lost with the worker.
    check(taken_down_ <= 10 * lives_, "a job takes down workers although it should be in quarantine");
    if (poisoned || (trouble_ && chance(short_jobs_ ? 0.01 : 0.05))) {
        worker_exits(worker, 11);
        return;
    }
    worker->running.reset();
    AttemptEnded ended{attempt, Cause::succeeded, "", AttemptResult{}};
    ended.job_identity = job_identities_.at(attempt.job);
    ended.result->of_command = true;
    ended.result->named = {{"validation", "a", static_cast<double>(attempt.job)}, {"test", "a", 1}};
    ended.result->parameters = attempt.number;  // so that the database shows whose result it is
    if (worker->sick) {
        ended.result.reset();
        ended.cause = Cause::user_error;
    } else if (chance(0.15)) {
        ended.result.reset();
        ended.cause = chance(0.7) ? Cause::preempted : Cause::diverged;
    }
    worker->unacknowledged.push_back(ended);
    EpochMetrics epoch;
    epoch.epoch = 1;
    epoch.named = {{"validation", "a", 0.5}};
    to_coordinator(worker, worker->link, AttemptEpoch{attempt, epoch});
    to_coordinator(worker, worker->link, ended);
    worker_begins_next(worker);  // before the result is acknowledged
}

void Simulation::worker_exits(const std::shared_ptr<Worker>& worker, int signal) {
    if (!std::exchange(worker->alive, false)) {
        return;
    }
    say(fmt::format("{} ends by signal {}", worker->hello.name, signal));
    processes_.erase(worker->hello.process_id);
    if (worker->link) {
        break_link(worker->link);
    }
    // What its coordinator has not acknowledged stays on disk, or it had no time to write that.
    for (const auto& ended : worker->unacknowledged) {
        if (chance(0.9)) {
            spool_.push_back(ended);
        }
    }
    Site* site = worker->pilot ? worker->pilot->site : coordinator_ ? coordinator_->site : nullptr;
    const int life = worker->pilot ? worker->pilot->life : worker->life_that_started_it;
    if (coordinator_ && site != nullptr && coordinator_->life == life) {
        site->exits.push_back({worker->hello.name, 0, signal, ""});
    }
}

}  // namespace orchestrate::test
