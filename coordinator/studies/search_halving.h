// Lets the trials of a search with rungs go on: looks at what their jobs have reached, and promotes. What a job may reach
// stands in its resources in the database, so that a coordinator that comes back goes on where the last one was.
#pragma once

#include <cstdint>
#include <deque>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/job/ids.h"
#include "coordinator/dispatch/dispatcher.h"
#include "coordinator/store/job_store.h"
#include "coordinator/studies/successive_halving.h"

namespace orchestrate {

class SearchHalving {
  public:
    // The stage's jobs must be in the store and with the dispatcher. The references must outlive it.
    SearchHalving(const Stage& stage, const std::vector<Variant>& trials, StudyId study_row, JobStore& store,
                  Dispatcher& dispatcher);

    // The job's state is another one than at the last call of advance(). Jobs of other stages do not matter.
    void job_changed(JobId job);

    // To be called when the stage begins, after jobs have changed, and while there is more to look at. The jobs that have got
    // further to go. Reads of the trials that have changed or run, not of all. Looks at kTrialsAtATime that have changed at
    // most, and promotes so many: nothing is decided before all were looked at, nor where that shows nothing new. Errors:
    // those of JobStore; then call again.
    std::vector<JobId> advance();
    bool has_more_to_do() const { return !changed_.empty() || !promoted_.empty(); }

    static constexpr std::size_t kTrialsAtATime = 500;

  private:
    struct Trial {
        std::vector<JobId> jobs;
        std::int64_t epochs = 0;  // of the whole training
        EpochSelection selection = EpochSelection::last;
    };
    TrialAtRungs look_at(const Trial& trial);
    // False if some are left for the next call of advance().
    bool look_at_what_is_new();
    void look_at(std::size_t place);
    bool runs(const Trial& trial) const;
    std::size_t rungs_below(std::int64_t pause_after_epoch) const;

    const Stage& stage_;
    JobStore& store_;
    Dispatcher& dispatcher_;
    std::vector<Trial> trials_;
    std::unordered_map<JobId, std::vector<std::size_t>> places_;  // of a job's trials
    std::vector<TrialAtRungs> seen_;                              // as of the last look
    std::set<std::size_t> changed_;                               // trials, since then
    std::set<std::size_t> running_;                               // trials that ran then, and so go on
    std::deque<std::pair<std::size_t, std::size_t>>
        promoted_;         // trials, and up to which rung: decided, not yet done
    bool is_news_ = true;  // what was seen since the last decision
};

}  // namespace orchestrate
