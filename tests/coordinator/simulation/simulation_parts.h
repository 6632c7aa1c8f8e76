// The parts of the simulation that both of its source files know.
#pragma once

#include <spdlog/sinks/null_sink.h>
#include <sqlite3.h>

#include "coordinator/studies/study_run.h"
#include "tests/coordinator/simulation/simulated_worker.h"
#include "tests/coordinator/simulation/simulation.h"

namespace orchestrate::test {

inline constexpr int kOpen = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI;

class BuggyDispatcher final : public Dispatcher {
  public:
    BuggyDispatcher(DeliberateBug bug, DispatcherOptions options, JobStore& store, DispatcherEnv& env,
                    Log log)
        : Dispatcher(std::move(options), store, env, std::move(log)), bug_(bug) {}

    bool said(const std::string& name, const std::shared_ptr<Peer>& peer, const WorkerReport& message) {
        const auto* ended = std::get_if<AttemptEnded>(&message);
        if (bug_ == DeliberateBug::takes_results_of_old_attempts && ended != nullptr) {
            AttemptEnded now = *ended;
            if (const auto known = assignments().find(now.attempt.job); known != assignments().end()) {
                now.attempt = known->second.attempt;
            }
            return worker_said(name, peer, now);
        }
        return worker_said(name, peer, message);
    }

    void connected(const std::shared_ptr<Peer>& peer, Hello hello) {
        if (bug_ == DeliberateBug::takes_results_of_old_attempts && !hello.held.empty()) {
            if (const auto known = assignments().find(hello.held.front().job); known != assignments().end()) {
                hello.held = {known->second.attempt};
            }
        }
        worker_connected(peer, hello);
    }

    void recover_all(const std::function<void()>& accept_leftovers) {
        recovering_ = true;
        accept_leftovers();
        recover();
        recovering_ = false;
    }

    void pass_time() {
        if (bug_ != DeliberateBug::never_misses_silent_workers) {
            tick();
        }
    }

  protected:
    void after_commit(std::function<void()> action) override {
        if (bug_ == DeliberateBug::answers_before_the_commit) {
            action();
        } else {
            Dispatcher::after_commit(std::move(action));
        }
    }

    void give_up_unbegun(const Worker& worker, const std::string& why) override {
        if (bug_ != DeliberateBug::forgets_what_a_lost_worker_had_not_begun) {
            Dispatcher::give_up_unbegun(worker, why);
        }
    }

    bool holds(const Worker& worker, const AttemptId& attempt) const override {
        return bug_ == DeliberateBug::takes_results_of_old_attempts || Dispatcher::holds(worker, attempt);
    }

    void tell_change(JobId job, JobState before, JobState now) override {
        if (bug_ != DeliberateBug::swallows_what_recovery_changes || !recovering_) {
            Dispatcher::tell_change(job, before, now);
        }
    }

    void forget_starting_workers(const std::string& site) override {
        if (bug_ != DeliberateBug::keeps_starting_workers_of_lost_sites) {
            Dispatcher::forget_starting_workers(site);
        }
    }

    void check_starting_workers() override {
        if (bug_ != DeliberateBug::keeps_starting_workers_of_lost_sites) {
            Dispatcher::check_starting_workers();
        }
    }

  private:
    DeliberateBug bug_;
    bool recovering_ = false;
};

inline constexpr const char* kLocalSite = "here";
inline constexpr int kLocalSlots = 2;
inline constexpr int kPilotSlots = 2;

struct Simulation::Pilot {
    std::string name;
    bool alive = true;
    bool leaving = false;  // it was told to end
    Site* site = nullptr;  // while it is connected
    int life = 0;          // of the coordinator that it is connected to
};

struct Simulation::Link final : Peer, std::enable_shared_from_this<Link> {
    Link(Simulation& simulation, std::shared_ptr<Worker> owner, int life_of_coordinator)
        : world(simulation), worker(std::move(owner)), life(life_of_coordinator) {}
    void answer(const HelloReply& reply) override { world.to_worker(shared_from_this(), reply); }
    void send(const CoordinatorToWorker& message) override { world.to_worker(shared_from_this(), message); }
    void close() override { world.break_link(shared_from_this()); }

    Simulation& world;
    std::shared_ptr<Worker> worker;
    int life;
    bool broken = false;
    bool is_cut = false;    // it broke while the network was cut: nothing arrives any more
    bool welcomed = false;  // by the coordinator
};

class Simulation::Site final : public orchestrate::Site {
  public:
    Site(Simulation& world, int life, std::shared_ptr<Pilot> of_pilot)
        : pilot(std::move(of_pilot)), world_(world), life_(life) {}
    ~Site() override;
    Site(const Site&) = delete;
    Site& operator=(const Site&) = delete;

    void start(const std::string& worker, const WorkerShape& shape) override;
    void stop(const std::string& worker, std::chrono::milliseconds grace) override;
    std::vector<SiteWorkerExit> take_exits() override { return std::exchange(exits, {}); }
    bool has_processes() const override { return false; }
    std::chrono::seconds start_limit() const override { return std::chrono::seconds(pilot ? 600 : 120); }

    const std::shared_ptr<Pilot> pilot;  // null: this machine
    std::vector<SiteWorkerExit> exits;

  private:
    Simulation& world_;
    int life_;
};

struct Simulation::Coordinator final : DispatcherEnv, StudyHost {
    explicit Coordinator(Simulation& simulation)
        : world(simulation),
          life(++simulation.lives_),
          store(SQLite::Database(simulation.database_name_, kOpen), {true, {}, {}, true}),
          dispatcher(
              simulation.bug_, {"", std::chrono::milliseconds(kHeartbeat), {}, "/logs"}, store, *this,
              std::make_shared<spdlog::logger>("null", std::make_shared<spdlog::sinks::null_sink_st>())) {}

    std::chrono::steady_clock::time_point now() override {
        return std::chrono::steady_clock::time_point(
            std::chrono::milliseconds(world.now_ + world.clock_offset_));
    }
    void note(const std::string& line) override {
        world.drained_ += line.find(" is drained: ") != std::string::npos ? 1 : 0;
        world.say("note: " + line);
    }
    bool has_ended(const std::string&, std::int64_t process) override {
        return !world.processes_.contains(process);
    }
    CheckpointPlan plan_checkpoints(const AttemptId&, std::vector<StoredCheckpoint>) override { return {}; }
    void keep_checkpoints(const AttemptId&, const std::vector<StoredCheckpoint>&) override {}
    void remove_checkpoints(JobId) override {}
    std::vector<JobId> jobs_with_checkpoints() override { return {}; }
    std::string allocation_state(const std::string&) override { return ""; }

    void note_study(const std::string& study, const std::string& line) override {
        world.say("note: " + study + ": " + line);
    }
    // As the coordinator does when the first study needs workers.
    void need_workers(const Study& study) override;
    // On another thread, of which the coordinator hears at once or some time later; also when it was killed meanwhile.
    void do_aside(const std::function<void()>& work) override {
        if (world.between(0, 1) == 0) {
            work();
            return;
        }
        world.at(world.between(0, 3000), [&world = world, life = life, work] {
            work();
            if (world.coordinator_ && world.coordinator_->life == life) {
                world.after_events();
            }
        });
    }
    // Once; throws StoreUnavailable, and is called again then.
    void recover();

    Simulation& world;
    int life;
    JobStore store;
    BuggyDispatcher dispatcher;
    Simulation::Site* site = nullptr;  // this machine
    std::vector<std::unique_ptr<StudyRun>> runs;
    bool recovered = false;
    bool commit_is_due = false;
    bool advance_is_due = false;
};

}  // namespace orchestrate::test
