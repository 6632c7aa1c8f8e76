// The sites of the simulation: this machine, and pilots that come, die, leave and are cut off.
#include <algorithm>
#include <csignal>

#include <fmt/format.h>

#include "tests/coordinator/simulation/simulation_parts.h"

namespace orchestrate::test {

Simulation::Site::~Site() {
    if (pilot && pilot->site == this) {
        pilot->site = nullptr;
    }
}

void Simulation::Site::start(const std::string& worker, const WorkerShape& /*shape*/) {
    if (!pilot || (pilot->alive && !pilot->leaving)) {
        world_.start_worker(worker, *this);
    }
}

void Simulation::Site::stop(const std::string& worker, std::chrono::milliseconds grace) {
    for (const auto& [process, running] : world_.processes_) {
        // Only its own children, and none behind a cut network.
        const bool is_child = pilot ? pilot->alive : running->life_that_started_it == life_;
        if (running->hello.name == worker && running->pilot == pilot && is_child && !running->partitioned) {
            world_.at(grace.count() + 1,
                      [this_world = &world_, killed = running] { this_world->worker_exits(killed, 9); });
        }
    }
}

std::shared_ptr<Simulation::Pilot> Simulation::pilot_of(const std::string& worker) const {
    const auto found = std::find_if(pilots_.begin(), pilots_.end(), [&](const auto& pilot) {
        return pilot->name == Dispatcher::site_of(worker);
    });
    return found == pilots_.end() ? nullptr : *found;
}

void Simulation::submit_pilot() {
    at(between(500, 20'000), [this] {
        auto pilot = std::make_shared<Pilot>();
        pilot->name = fmt::format("slurm-{}", ++submitted_pilots_);
        pilots_.push_back(pilot);
        say(pilot->name + " begins");
        pilot_connects(pilot);
    });
}

void Simulation::pilot_connects(const std::shared_ptr<Pilot>& pilot) {
    if (!pilot->alive || pilot->leaving || pilot->site != nullptr) {
        return;
    }
    if (!coordinator_ || !coordinator_->recovered) {
        at(1000, [this, pilot] { pilot_connects(pilot); });
        return;
    }
    auto site = std::make_unique<Site>(*this, coordinator_->life, pilot);
    pilot->site = site.get();
    pilot->life = coordinator_->life;
    coordinator_->dispatcher.add_site(pilot->name, std::move(site), kPilotSlots);
    after_events();
}

void Simulation::pilot_disconnects(const std::shared_ptr<Pilot>& pilot) {
    if (pilot->site != nullptr && coordinator_ && coordinator_->life == pilot->life) {
        coordinator_->dispatcher.remove_site(pilot->name);
        after_events();
    }
    at(1000, [this, pilot] { pilot_connects(pilot); });
}

// As when its first node fails: Slurm ends the workers, and nobody says so.
void Simulation::pilot_dies(const std::shared_ptr<Pilot>& pilot) {
    if (!std::exchange(pilot->alive, false)) {
        return;
    }
    say(pilot->name + " ends");
    ++lost_pilots_;
    std::erase(pilots_, pilot);
    std::vector<std::shared_ptr<Worker>> workers;
    for (const auto& [process, worker] : processes_) {
        if (worker->pilot == pilot) {
            workers.push_back(worker);
        }
    }
    for (const auto& worker : workers) {
        worker_exits(worker, 9);
    }
    at(between(1, 50), [this, pilot] { pilot_disconnects(pilot); });
    submit_pilot();
}

void Simulation::pilot_leaves(const std::shared_ptr<Pilot>& pilot) {
    if (std::exchange(pilot->leaving, true)) {
        return;
    }
    say(pilot->name + " is told to end");
    if (pilot->site != nullptr && coordinator_ && coordinator_->life == pilot->life) {
        coordinator_->dispatcher.site_leaves(pilot->name, "signal 15");
        for (const auto& [name, worker] : coordinator_->dispatcher.workers()) {
            if (worker.running && !worker.exit && Dispatcher::site_of(name) == pilot->name) {
                of_leaving_pilots_.insert({worker.running->job, worker.running->number});
            }
        }
        after_events();
    }
    for (const auto& entry : processes_) {
        const auto& worker = entry.second;
        if (worker->pilot == pilot) {
            at(between(10, 5000), [this, worker] {
                if (chance(0.5)) {
                    worker_gets_signal(worker, SIGTERM);
                } else {
                    worker_exits(worker, chance(0.5) ? SIGKILL : SIGTERM);
                }
            });
        }
    }
    at(6000, [this, pilot] { pilot_dies(pilot); });
}

}  // namespace orchestrate::test
