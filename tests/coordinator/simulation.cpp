#include "tests/coordinator/simulation.h"

#include <algorithm>
#include <atomic>
#include <numeric>

#include <SQLiteCpp/Backup.h>
#include <fmt/format.h>

#include "results/schema.h"
#include "tests/coordinator/simulation_parts.h"
#include "tests/coordinator/small_life.h"

namespace orchestrate::test {
namespace {

constexpr const char* kSite = "here";
constexpr int kSlots = 3;

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

Simulation::Simulation(std::uint64_t seed, DeliberateBug bug) : random_(seed), bug_(bug) {
    short_jobs_ = chance(0.5);
    poisoned_job_ = chance(0.3) ? between(1, 12) : 0;
    static std::atomic<int> made = 0;
    database_name_ = fmt::format("file:simulation-{}?mode=memory&cache=shared", ++made);
    disk_ = std::make_unique<StoreDatabase>(database_name_, kOpen);
    SQLite::Backup(*disk_, template_database()).executeStep(-1);
}

Simulation::~Simulation() {
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
    if (!coordinator_ || coordinator_->store.pending_changes() > 0) {
        return false;
    }
    const auto& jobs = coordinator_->dispatcher.jobs();
    return std::all_of(jobs.begin(), jobs.end(),
                       [](const auto& entry) { return is_over(entry.second.stored.state); });
}

void Simulation::start_coordinator() {
    try {
        coordinator_ = std::make_unique<Coordinator>(*this);
        say(fmt::format("coordinator {} starts", coordinator_->life));
        take_up_study();
    } catch (const StoreUnavailable&) {
        say("it ends: there is no room on the disk");  // and a person starts it again
        coordinator_.reset();
        at(between(500, 5000), [this] { start_coordinator(); });
    }
}

void Simulation::take_up_study() {
    JobStore& store = coordinator_->store;
    auto& dispatcher = coordinator_->dispatcher;
    Stage stage;
    stage.name = "ablation";
    // Two studies that share a variant.
    std::vector<StoredJob> all_jobs;
    std::vector<std::uint64_t> seeds(short_jobs_ ? 12 : 4);
    std::iota(seeds.begin(), seeds.end(), 1);
    for (const std::int64_t study_number : {1, 2}) {
        Study study;
        study.name = fmt::format("study {}", study_number);
        study.file = "/s.toml";
        const auto row = store.begin_study(study);
        const auto jobs = store.sync_stage(
            row, 0, stage, {variant_of("a", 8, seeds), variant_of("b", 8 + study_number, seeds)}, {});
        dispatcher.add_jobs(jobs, 0, row);
        all_jobs.insert(all_jobs.end(), jobs.begin(), jobs.end());
    }
    dispatcher.recover();
    auto site = std::make_unique<Site>(*this, coordinator_->life);
    coordinator_->site = site.get();
    dispatcher.add_site(kSite, std::move(site), kSlots);
    dispatcher.schedule(all_jobs);
    settle();
    tick(coordinator_->life);
}

void Simulation::kill_coordinator() {
    say("coordinator is killed");
    coordinator_.reset();
    for (const auto& [process, worker] : processes_) {
        if (worker->link) {
            break_link(worker->link);
        }
    }
    at(between(50, 20'000), [this] { start_coordinator(); });
}

void Simulation::settle() {
    Coordinator& coordinator = *coordinator_;
    check(coordinator.dispatcher.broken().empty(), coordinator.dispatcher.broken());
    if (coordinator.store.pending_changes() > 0 && !coordinator.commit_is_due) {
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
    settle();
}

void Simulation::tick(int life) {
    if (coordinator_ && coordinator_->life == life) {
        coordinator_->dispatcher.pass_time();
        settle();
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
    const auto kind = between(0, 6);
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
    }
}

// What must hold between any two commits.
void Simulation::check_database() {
    const auto none = [&]<std::size_t size>(const char(&sql)[size], const char* what) {
        check(number_of(*disk_, sql) == 0, what);
    };
    none(
        "SELECT count(*) FROM jobs j WHERE (j.state = 'running') <> (SELECT count(*) FROM attempts a WHERE "
        "a.job_id = j.id AND a.ended_at IS NULL)",
        "a job runs without one open attempt, or has one and does not run");
    none(
        "SELECT count(*) FROM attempts a WHERE a.ended_at IS NULL AND a.number < (SELECT max(number) FROM "
        "attempts b "
        "WHERE b.job_id = a.job_id)",
        "an attempt is open although a later one has begun");
    none(
        "SELECT count(*) FROM jobs j WHERE (j.state = 'succeeded') <> (SELECT count(*) FROM results r WHERE "
        "r.job_id = j.id)",
        "a job has succeeded without a result, or the reverse");
    none(
        "SELECT count(*) FROM results r WHERE r.attempt <> (SELECT max(number) FROM attempts a WHERE "
        "a.job_id = "
        "r.job_id)",
        "the result is of an attempt that was not the newest");
    none(
        "SELECT count(*) FROM (SELECT 1 FROM attempts WHERE cause = 'succeeded' GROUP BY job_id HAVING "
        "count(*) > 1)",
        "two attempts of a job have succeeded");
    none("SELECT count(*) FROM results WHERE parameters <> attempt",
         "a result is not of the attempt under which it was taken");
    none(
        "SELECT count(*) FROM jobs j WHERE state = 'quarantined' AND (SELECT count(*) FROM attempts a WHERE "
        "a.job_id = j.id AND a.cause = 'worker_crashed') < 3",
        "a job is in quarantine that has not taken down three workers");
    for (const auto& [job, attempt] : accepted_) {
        BoundStatement query(*disk_, "SELECT attempt FROM results WHERE job_id = ?", job);
        if (!query->executeStep() || query->getColumn(0).getInt64() != attempt) {
            check(false, fmt::format("the acknowledged result of job {}, attempt {} is gone", job, attempt));
        }
    }
    std::set<std::pair<std::int64_t, std::int64_t>> held;
    for (const auto& [name, worker] : coordinator_->dispatcher.workers()) {
        for (const auto& attempt : worker.queued) {
            held.insert({attempt.job, attempt.number});
        }
        if (worker.running) {
            held.insert({worker.running->job, worker.running->number});
        }
    }
    std::map<JobState, std::int64_t> in_memory;
    for (const auto& [id, job] : coordinator_->dispatcher.jobs()) {
        ++in_memory[job.stored.state];
        if (job.attempt && !job.held_until && !held.contains({job.attempt->job, job.attempt->number})) {
            check(false, fmt::format("job {} runs, but no worker has it", id));
        }
    }
    BoundStatement recount(*disk_, "SELECT state, count(*) FROM jobs GROUP BY state");
    while (recount->executeStep()) {
        const auto state = *enum_from_name<JobState>(recount->getColumn(0).getString());
        // What has been changed since the commit is not yet in the database.
        if (coordinator_->store.pending_changes() == 0 &&
            in_memory[state] != recount->getColumn(1).getInt64()) {
            check(false, "the coordinator counts other jobs " + to_string(state) + " than the database");
        }
    }
}

}  // namespace orchestrate::test
