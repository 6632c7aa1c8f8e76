// The jobs that a coordinator knows: the one owner of a job's state and of the count of its failures. JobStore applies
// events to it and writes them down; schedulers, counts and searches are indexes, told of each change when it happens.
// Not thread-safe.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/job/ids.h"
#include "common/job/job_config.h"
#include "coordinator/store/job_states.h"

namespace orchestrate {

// A study of this coordinator has the job in one of its stages.
struct JobPlan {
    StudyId study;              // the job counts as that study's, where several have it
    int priority = 0;           // lower goes first within the study
    bool runs_command = false;  // it is a command, not a training
};

struct Job {
    JobState state = JobState::waiting;
    int failures = 0;  // attempts that count against its limit
    JobResources resources;
    std::string title;  // "without energy, seed 2": of the first variant that has it; empty: not known
    std::optional<JobPlan> plan;  // none: no study of this coordinator has it so far, and nobody schedules it
};

// Is told of every change of a job's state at the moment of the change, also of those that recovery makes.
class JobObserver {
  public:
    virtual ~JobObserver() = default;
    virtual void job_changed(JobId job, JobState before, JobState now) = 0;
};

class JobTable {
  public:
    // Null: it is not in the table.
    const Job* find(JobId job) const;
    // Throws std::out_of_range for a job that is not in the table.
    const Job& at(JobId job) const { return jobs_.at(job); }
    std::size_t size() const { return jobs_.size(); }
    // In no order: pairs of id and job.
    auto begin() const { return jobs_.begin(); }
    auto end() const { return jobs_.end(); }

    // Puts a job in as the database has it. One that is there already keeps its plan, and its title if `job` has none.
    void put(JobId job, Job as_stored);
    // Applies the event if the table of job_states.h lists it for the job's state; otherwise nothing changes, and there is no
    // result. The job must be in the table.
    std::optional<JobTransition> apply(JobId job, JobEvent event);
    void set_plan(JobId job, const JobPlan& plan) { jobs_.at(job).plan = plan; }
    void set_pause_after_epoch(JobId job, std::int64_t epoch) {
        jobs_.at(job).resources.pause_after_epoch = epoch;
    }
    void reserve(std::size_t more) { jobs_.reserve(jobs_.size() + more); }

    // `observer` must call stop_observing() before it is destroyed.
    void observe(JobObserver& observer) { observers_.push_back(&observer); }
    void stop_observing(JobObserver& observer) { std::erase(observers_, &observer); }

  private:
    void tell(JobId job, JobState before, JobState now) const;

    std::unordered_map<JobId, Job> jobs_;
    std::vector<JobObserver*> observers_;
};

}  // namespace orchestrate
