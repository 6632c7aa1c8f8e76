// The scheduler: decides which worker trains which job, and which workers are started and retired. Pure:
// events go in, actions come out; it knows no clock, no database and no network, so that a test drives it
// through anything.
//
// Capacity is a set of sites (this machine, or a Slurm pilot), each with slots; a worker of n ranks fills n
// slots of its site. Studies share it: the next job is always of the study that fills the fewest slots, of those with
// the highest priority. Within a study
// jobs are taken in order of priority, the wider first. A job that finds no worker of its shape (ranks, and whether they are one
// process) gets one started; when slots are short, idle workers of other shapes are retired for it, and the site
// takes no narrower job until it has been placed, so that wide jobs do not starve.
//
// A worker may hold jobs beyond the one it runs (set_prefetch), so that short jobs do not wait for messages. They are
// handed back as soon as another worker idles.
//
// What an event costs does not grow with the number of jobs or workers, but for logarithms.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "common/job/ids.h"
#include "coordinator/sites/worker_shape.h"

namespace orchestrate {

struct AssignJob {
    JobId job;
    std::string worker;
};
struct StartWorkerAt {
    std::string site;
    std::string worker;
    WorkerShape shape;
};
struct RetireWorker {
    std::string worker;
};
// The worker shall give back these jobs if it has not begun them. Until attempt_ended() it has them.
struct RetractJobs {
    std::string worker;
    std::vector<JobId> jobs;
};
// No worker at this site has come up in several tries: it gets no more.
struct SiteBroken {
    std::string site;
};
using SchedulerAction = std::variant<AssignJob, StartWorkerAt, RetireWorker, RetractJobs, SiteBroken>;

// A job as the scheduler knows it.
struct SchedulableJob {
    JobId job;
    WorkerShape shape;
    int priority = 0;  // lower goes first, within its study
    StudyId study = {};
};

class Scheduler {
  public:
    static constexpr int kMaximumStartFailures = 3;

    // Workers to be started are named SITE-NUMBER, with numbers above `last_worker_number`.
    explicit Scheduler(std::int64_t last_worker_number = 0) : started_workers_(last_worker_number) {}

    void add_site(const std::string& site, int slots);
    // Workers that are ready or expected there may outlive it; those that were starting are forgotten by worker_gone().
    void remove_site(const std::string& site);
    // Its workers get no more jobs, those that connect later neither, and it gets no more workers.
    void close_site(const std::string& site);
    bool is_closed(const std::string& site) const;
    // Whether workers have not come up there too often; false for one that was closed.
    bool is_broken(const std::string& site) const;
    // Whether workers can be started anywhere.
    bool has_sound_site() const;
    // So many of its slots stay empty from now on.
    void remove_slots(const std::string& site, int slots);

    // A job that waits. One that is known is replaced.
    void add_job(const SchedulableJob& job);
    void remove_job(JobId job);

    // Studies of a higher one go first; those of equal ones share. 0 unless said.
    void set_study_priority(StudyId study, int priority);

    // Jobs of a study that is held wait.
    void hold_study(StudyId study, bool held);

    // Workers of that many ranks may hold so many jobs beyond the one that they run.
    void set_prefetch(int ranks, int jobs);

    // A worker of an earlier coordinator that still lives and will probably connect: it fills its slots until
    // then.
    void worker_expected(const std::string& worker, const std::string& site, const WorkerShape& shape);

    // A worker that was started takes long to connect: it fills its slots, but another one is started for the jobs that it
    // was meant for if there is room.
    void worker_is_late(const std::string& worker);

    // A worker is connected, with the jobs that it holds from before a restart or a broken connection, that which runs
    // first. `site` is empty for one that was started by hand; `capacity`: how many jobs it can hold.
    void worker_ready(const std::string& worker, const std::string& site, const WorkerShape& shape,
                      int capacity = 1, const std::vector<SchedulableJob>& held = {});

    // The worker gets no more jobs: it ends after those it holds.
    void worker_leaving(const std::string& worker);

    // The job that the worker runs takes too long for others to wait behind it. Until it has ended, the worker gets
    // nothing.
    void worker_stalls(const std::string& worker);

    // Whether the worker gets no new jobs for now.
    void rest_worker(const std::string& worker, bool rests);

    // An attempt has ended, or was handed back. The job is forgotten: add_job() again if it shall be repeated.
    void attempt_ended(const std::string& worker, JobId job);

    // A worker is gone, or could not be started; its jobs are forgotten.
    void worker_gone(const std::string& worker);

    // What to do now; the scheduler takes it as done.
    std::vector<SchedulerAction> next_actions();

    // Why a job waits, in one sentence.
    std::string why_waiting(JobId job) const;

    std::size_t waiting_jobs() const { return keys_.size(); }
    bool knows_worker(const std::string& worker) const { return workers_.contains(worker); }

  private:
    enum class WorkerState { starting, late, expected, ready, retiring };
    struct Site {
        int slots = 0;
        int start_failures = 0;
        bool broken = false;  // until a worker comes up there
        bool closed = false;
        bool is_sound() const { return !broken && !closed; }
    };
    struct HeldJob {
        JobId job;
        StudyId study;
        bool is_retracted = false;
    };
    struct Worker {
        std::string site;
        WorkerShape shape;
        WorkerState state = WorkerState::ready;
        int capacity = 1;
        bool stalls = false;
        bool rests = false;
        std::vector<HeldJob> held = {};  // that which runs first
    };
    struct Bucket {
        int priority = 0;
        int negative_ranks = -1;
        bool is_one_process = false;
        WorkerShape shape() const { return {-negative_ranks, is_one_process}; }
        auto operator<=>(const Bucket&) const = default;  // NOLINT(modernize-use-nullptr)
    };
    struct Queue {  // of one study
        std::map<Bucket, std::set<JobId>> waiting;
        int ranks_in_use = 0;
        std::int64_t last_served = 0;
        bool held = false;
    };
    struct Key {
        StudyId study;
        Bucket bucket;
    };
    // What one call of next_actions() has found out so far.
    struct Round {
        std::vector<SchedulerAction> actions;
        std::set<std::string> reserved_sites;  // a wider job waits for their slots
        std::map<WorkerShape, int> coming;     // workers on their way for jobs not met yet
        std::set<std::pair<StudyId, Bucket>> exhausted;
    };

    // Every change of a worker is made between these two, which keep the sums and indexes below.
    void unlist(const std::string& name, const Worker& worker);
    void list(const std::string& name, const Worker& worker);
    template <class Change>
    void change_worker(const std::string& name, Change change);
    void set_worker(const std::string& name, Worker worker);

    std::optional<std::pair<StudyId, Bucket>> next_bucket(const Round& round) const;
    const std::string* least_loaded(const WorkerShape& shape,
                                    const std::set<std::string>& reserved_sites) const;
    void assign(StudyId study, const Bucket& bucket, const std::string& worker, Round& round);
    // For jobs that no worker there can take.
    void make_room(std::size_t jobs, const WorkerShape& shape, Round& round);
    void retract_leases(Round& round);
    static bool is_idle(const Queue& study);
    int free_slots(const std::string& site) const;

    std::map<std::string, Site> sites_;
    std::map<std::string, Worker> workers_;
    std::map<StudyId, int> study_priorities_;  // those that are not 0
    std::map<StudyId, Queue> studies_;
    std::unordered_map<JobId, Key> keys_;    // of waiting jobs
    std::map<int, int> prefetch_;            // by ranks
    std::map<std::string, int> used_slots_;  // by site
    // By site and shape of the workers that fill them.
    std::map<std::pair<std::string, WorkerShape>, int> slots_of_shape_;
    std::map<WorkerShape, int> coming_;  // workers starting or expected
    // Workers that may get jobs, by shape: how many they hold, name.
    std::map<WorkerShape, std::set<std::pair<std::size_t, std::string>>> by_load_;
    std::set<std::string> stalling_;  // with jobs to be asked back
    std::int64_t served_ = 0;
    std::int64_t started_workers_;
};

}  // namespace orchestrate
