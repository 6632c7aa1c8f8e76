#include "tests/coordinator/simulation/simulation.h"

#include <algorithm>
#include <atomic>
#include <csignal>

#include <SQLiteCpp/Backup.h>
#include <fmt/format.h>

#include "experiments/load_study.h"
#include "results/schema.h"
#include "tests/coordinator/simulation/simulation_parts.h"

namespace orchestrate::test {
namespace {

constexpr const char* kStudyText = R"(
[study]
name = "study {0}"
seeds = {1}
retries = {{ user_error = 1 }}
[command]
run = ["sh", "-c", "true {{x}}"]
metrics = ["a"]
[parameters]
x = 0
[search]
method = "grid"
select_by = "validation a"
[search.space]
x = [1, 2]
[[ablation]]
sweep = {{ x = [{2}] }}
)";

// Two studies that share their searches.
std::vector<Study> load_studies(const std::string& seeds) {
    std::vector<Study> studies;
    for (const int number : {1, 2}) {
        studies.push_back(load_study_text(fmt::format(kStudyText, number, seeds, number + 2),
                                          fmt::format("/s{}.toml", number), {}));
    }
    return studies;
}

const std::vector<Study>& studies_of(bool short_jobs) {
    static const std::vector<Study> few = load_studies("[1, 2]");
    static const std::vector<Study> many = load_studies("[1, 2, 3, 4, 5, 6, 7, 8]");
    return short_jobs ? many : few;
}

// An empty database with its schema, made once for each thread.
SQLite::Database& template_database() {
    thread_local SQLite::Database database = [] {
        SQLite::Database made(":memory:", kOpen);
        prepare_schema(made);
        return made;
    }();
    return database;
}

}  // namespace

Simulation::Simulation(std::uint64_t seed, DeliberateBug bug, const WorkerMutant* mutant)
    : random_(seed), bug_(bug), mutant_(mutant) {
    prefetch_policy_ = chance(0.5);
    pilots_only_ = chance(0.25);
    if (chance(0.3)) {
        poisoned_job_ = JobId(between(1, 12));
    }
    static std::atomic<int> made = 0;
    database_name_ = fmt::format("file:simulation-{}?mode=memory&cache=shared", ++made);
    disk_ = std::make_unique<StoreDatabase>(database_name_, kOpen);
    SQLite::Backup(*disk_, template_database()).executeStep(-1);
}

// Workers, their links and what waits for a stopped one refer to each other.
Simulation::~Simulation() {
    for (const auto& worker : made_workers_) {
        worker->waiting.clear();
        worker->link.reset();
    }
    processes_.clear();
    future_.clear();
    coordinator_.reset();
}

void Simulation::at(std::int64_t delay, std::function<void()> what) {
    future_.emplace(now_ + delay, std::move(what));
}

void Simulation::say(const std::string& line) {
    story_.push_back(fmt::format("{:>9.3f} s  {}", static_cast<double>(now_) / 1000, line));
}

void Simulation::check(bool holds, const std::string& what) {
    if (!holds && wrong_.empty()) {
        say("WRONG: " + what);
        wrong_ = story_.back();
    }
}

std::string Simulation::run() {
    start_coordinator();
    if (pilots_only_ || chance(0.5)) {
        submit_pilot();
    }
    at(between(100, 2000), [this] { cause_trouble(); });
    at(kTroubleMilliseconds, [this] {
        say("no more trouble");
        trouble_ = false;
        clock_offset_ += 1;
    });
    while (wrong_.empty() && !(all_done() && !trouble_)) {
        if (now_ > 4 * kTroubleMilliseconds) {
            check(false, "jobs do not end although workers keep coming");
            break;
        }
        const auto next = future_.begin();
        now_ = std::max(now_, next->first);
        const auto what = std::move(next->second);
        future_.erase(next);
        ++events_;
        what();
        if (trouble_ && all_done() && coordinator_->store.pending_changes() == 0) {
            trouble_ = false;  // there is nothing more to disturb
        }
    }
    return wrong_;
}

bool Simulation::all_done() const {
    return coordinator_ && coordinator_->recovered && coordinator_->store.pending_changes() == 0 &&
           std::all_of(coordinator_->runs.begin(), coordinator_->runs.end(),
                       [](const auto& run) { return run->has_ended(); });
}

void Simulation::start_coordinator() {
    room_since_ = -1;
    try {
        coordinator_ = std::make_unique<Coordinator>(*this);
        say(fmt::format("coordinator {} starts", coordinator_->life));
        take_up_studies();
    } catch (const StoreUnavailable&) {
        say("it ends: there is no room on the disk");  // and a user starts it again
        coordinator_.reset();
        at(between(500, 5000), [this] { start_coordinator(); });
        return;
    }
    advance_studies();
    tick(coordinator_->life);
}

void Simulation::take_up_studies() {
    Coordinator& coordinator = *coordinator_;
    const auto stored = coordinator.store.studies();
    for (const Study& study : studies_of(prefetch_policy_)) {
        const auto known = std::find_if(stored.begin(), stored.end(),
                                        [&](const StoredStudy& one) { return one.name == study.name; });
        if (known != stored.end() && known->state != StudyState::running) {
            continue;
        }
        const auto old_failures = known == stored.end() ? OldFailures::ask_again : OldFailures::keep;
        const auto row = coordinator.store.begin_study(study, old_failures);
        coordinator.runs.push_back(std::make_unique<StudyRun>(study, row, old_failures, coordinator.store,
                                                              coordinator.dispatcher, coordinator,
                                                              coordinator.now()));
    }
}

void Simulation::Coordinator::recover() {
    if (recovered) {
        return;
    }
    dispatcher.recover_all([this] {
        ResultSpool spool(world.workers_disk_, kSpoolFolder);
        for (const auto& result : spool.leftovers().results) {
            const bool accepted = dispatcher.accept_leftover(result);
            if (!dispatcher.commit()) {
                throw StoreUnavailable(dispatcher.pause_reason());
            }
            spool.remove(result.attempt);
            world.classified_ends_.insert(result.attempt);
            world.recovered_ += accepted ? 1 : 0;
        }
    });
    recovered = true;
}

void Simulation::Coordinator::need_workers(const Study& /*study*/) {
    recover();
    if (site == nullptr && !world.pilots_only_) {
        auto local = std::make_unique<Site>(world, life, nullptr);
        site = local.get();
        dispatcher.add_site(kLocalSite, std::move(local), kLocalSlots);
    }
}

// As the coordinator's loop: advances what may go on, and looks again before it waits.
void Simulation::advance_studies() {
    try {
        for (const auto& run : coordinator_->runs) {
            if (!run->has_ended()) {
                run->advance();
            }
        }
        coordinator_->recover();
    } catch (const StoreUnavailable& error) {
        coordinator_->dispatcher.pause(error.what());
    }
    after_events();
}

void Simulation::kill_coordinator() {
    say("coordinator is killed");
    coordinator_.reset();
    // An attempt that no commit holds was never leased, and its number is given again.
    std::erase_if(of_leaving_pilots_, [this](const auto& attempt) {
        BoundStatement query(*disk_, "SELECT 1 FROM attempts WHERE job_id = ? AND number = ?", attempt.job,
                             attempt.number);
        return !query->executeStep();
    });
    for (const auto& [process, worker] : processes_) {
        if (worker->link) {
            break_link(worker->link);
        }
    }
    for (const auto& pilot : pilots_) {
        at(1000, [this, pilot] { pilot_connects(pilot); });
    }
    at(between(50, 20'000), [this] { start_coordinator(); });
}

void Simulation::after_events() {
    Coordinator& coordinator = *coordinator_;
    check(coordinator.dispatcher.broken().empty(), coordinator.dispatcher.broken());
    const bool may_go_on = std::any_of(coordinator.runs.begin(), coordinator.runs.end(),
                                       [](const auto& run) { return run->may_go_on(); });
    if ((may_go_on || !coordinator.recovered) && !coordinator.advance_is_due) {
        coordinator.advance_is_due = true;
        at(coordinator.dispatcher.paused() ? 1000 : between(0, 2), [this, life = coordinator.life] {
            if (coordinator_ && coordinator_->life == life) {
                coordinator_->advance_is_due = false;
                advance_studies();
            }
        });
    }
    if ((coordinator.dispatcher.needs_commit() || coordinator.dispatcher.paused()) &&
        !coordinator.commit_is_due) {
        coordinator.commit_is_due = true;
        if (trouble_ && chance(0.01)) {
            at(1, [this, life = coordinator.life] {
                if (coordinator_ && coordinator_->life == life) {
                    kill_coordinator();  // just before the commit
                }
            });
        }
        at(coordinator.dispatcher.paused() ? 1000 : 2, [this, life = coordinator.life] {
            if (coordinator_ && coordinator_->life == life) {
                coordinator_->commit_is_due = false;
                commit();
            }
        });
    }
}

void Simulation::commit() {
    if (coordinator_->dispatcher.commit()) {
        check_database();
    }
    after_events();
}

void Simulation::tick(int life) {
    if (coordinator_ && coordinator_->life == life) {
        coordinator_->dispatcher.pass_time();
        after_events();
        check_liveness();
        at(200, [this, life] { tick(life); });
    }
}

void Simulation::cause_trouble() {
    if (!trouble_) {
        return;
    }
    at(between(100, 6000), [this] { cause_trouble(); });
    std::shared_ptr<Worker> victim;
    if (!processes_.empty()) {
        victim = std::next(processes_.begin(), between(0, static_cast<std::int64_t>(processes_.size()) - 1))
                     ->second;
    }
    const auto kind = between(0, 11);
    const std::shared_ptr<Pilot> pilot = pilots_.empty() ? nullptr : pilots_.back();
    if (kind == 0 && coordinator_) {
        kill_coordinator();
    } else if (kind == 1 && victim && victim->was_connected) {
        worker_exits(victim, 9);
    } else if (kind == 2 && victim) {
        say(victim->hello.name + " is stopped");
        victim->stopped = true;
        at(between(100, 40'000), [this, victim] {
            say(victim->hello.name + " goes on");
            victim->stopped = false;
            for (const auto& what : std::exchange(victim->waiting, {})) {
                unless_stopped(victim, what);
            }
        });
    } else if (kind == 3 && victim) {
        say(victim->hello.name + " is cut off");
        victim->partitioned = true;
        at(between(100, 40'000), [victim] { victim->partitioned = false; });
    } else if (kind == 4 && victim && victim->link) {
        say("the connection of " + victim->hello.name + " breaks");
        break_link(victim->link);
    } else if (kind == 5) {
        const auto jump = between(1000, 60'000);
        say(fmt::format("the clock jumps by {} ms", jump));
        clock_offset_ += jump;
    } else if (kind == 6) {
        say("the disk is full");
        const int pages = disk_->execAndGet("PRAGMA page_count").getInt();
        disk_->exec("PRAGMA max_page_count = " + std::to_string(pages));
        at(between(100, 15'000), [this] {
            say("there is room on the disk");
            disk_->exec("PRAGMA max_page_count = 1000000");
        });
    } else if (kind == 7 && pilot) {
        pilot_dies(pilot);
    } else if (kind == 8 && pilot) {
        pilot_leaves(pilot);
    } else if (kind == 9 && pilot) {
        say("the connection of " + pilot->name + " breaks");
        pilot_disconnects(pilot);
    } else if (kind == 10 && victim && victim->was_connected) {
        worker_gets_signal(victim, SIGTERM);
    } else if (kind == 11 && victim && victim->was_connected && victim->lost_rank.empty()) {
        say(victim->hello.name + " loses a rank");
        victim->lost_rank = "rank 1 gave no sign of life";
        victim->is_held_up = chance(0.5);
    }
}

}  // namespace orchestrate::test
