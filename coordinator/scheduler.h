// The scheduler: decides which worker trains which job, and which workers are started and retired. Pure:
// events go in, actions come out; it knows no clock, no database and no network, so that a test drives it
// through anything.
//
// Capacity is a set of sites (this machine, or a Slurm pilot), each with slots; a worker of n ranks fills n
// slots of its site. Jobs are taken in order of priority, the wider first. A job that fits no worker of its
// width gets one started; when slots are short, idle workers of other widths are retired for it, and the site
// takes no narrower job until it has been placed, so that wide jobs do not starve.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "common/attempt.h"
#include "common/messages.h"
#include "coordinator/job_store.h"

namespace orchestrate {

struct AssignJob {
    std::int64_t job = 0;
    std::string worker;
};
struct StartWorkerAt {
    std::string site;
    std::string worker;
    int ranks = 1;
};
struct RetireWorker {
    std::string worker;
};
// No worker at this site has come up in several tries: it gets no more.
struct SiteBroken {
    std::string site;
};
using SchedulerAction = std::variant<AssignJob, StartWorkerAt, RetireWorker, SiteBroken>;

class Scheduler {
  public:
    static constexpr int kMaximumStartFailures = 3;

    // Workers to be started are named SITE-NUMBER, with numbers above `last_worker_number`.
    explicit Scheduler(std::int64_t last_worker_number = 0) : started_workers_(last_worker_number) {}

    void add_site(const std::string& site, int slots);
    void remove_site(const std::string& site);

    // A job that waits. `priority`: lower goes first.
    void add_job(std::int64_t job, int ranks, int priority);
    void remove_job(std::int64_t job);

    // A worker of an earlier coordinator that still lives and will probably connect: it fills its slots until
    // then.
    void worker_expected(const std::string& worker, const std::string& site, int ranks);

    // A worker is ready for work; `site` is empty for one that was started by hand.
    void worker_ready(const std::string& worker, const std::string& site, int ranks);

    // A worker that runs an attempt of a job, from before a restart or a broken connection.
    void worker_busy(const std::string& worker, const std::string& site, int ranks, std::int64_t job);

    // The worker gets no more jobs: it ends after the one it runs.
    void worker_leaving(const std::string& worker);

    // The worker's attempt has ended; it is idle again, unless it leaves. The job is forgotten: add_job() again if it
    // shall be repeated.
    void attempt_ended(const std::string& worker);

    // A worker is gone, or could not be started; its job is forgotten.
    void worker_gone(const std::string& worker);

    // What to do now; the scheduler takes it as done.
    std::vector<SchedulerAction> next_actions();

    // Why a job waits, in one sentence.
    std::string why_waiting(std::int64_t job) const;

    std::size_t waiting_jobs() const { return waiting_.size(); }
    bool knows_worker(const std::string& worker) const { return workers_.contains(worker); }

  private:
    enum class WorkerState { starting, expected, idle, busy, retiring };
    struct Site {
        int slots = 0;
        int start_failures = 0;
        bool broken = false;
    };
    struct Worker {
        std::string site;
        int ranks = 1;
        WorkerState state = WorkerState::idle;
        std::int64_t job = 0;
    };
    using QueueKey = std::tuple<int, int, std::int64_t>;  // priority, -ranks, id

    int free_slots(const std::string& site) const;
    std::optional<std::string> idle_worker(int ranks, const std::set<std::string>& reserved_sites) const;

    std::map<std::string, Site> sites_;
    std::map<std::string, Worker> workers_;
    std::set<QueueKey> waiting_;
    std::map<std::int64_t, QueueKey> keys_;
    std::int64_t started_workers_;
};

}  // namespace orchestrate
