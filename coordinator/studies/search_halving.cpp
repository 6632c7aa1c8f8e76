#include "coordinator/studies/search_halving.h"

#include <algorithm>
#include <utility>

namespace orchestrate {

SearchHalving::SearchHalving(const Stage& stage, const std::vector<Variant>& trials, StudyId study_row,
                             JobStore& store, Dispatcher& dispatcher)
    : stage_(stage), store_(store), dispatcher_(dispatcher) {
    auto jobs = store.jobs_of_variants(study_row, stage.name);
    for (std::size_t i = 0; i < trials.size(); ++i) {
        const auto& train = trials[i].config.train;
        for (const JobId job : jobs.at(i)) {
            places_[job].push_back(i);
        }
        trials_.push_back({std::move(jobs.at(i)), train.epochs, train.epoch_selection});
        changed_.insert(i);
    }
    seen_.resize(trials_.size());
}

void SearchHalving::job_changed(JobId job) {
    if (const auto found = places_.find(job); found != places_.end()) {
        changed_.insert(found->second.begin(), found->second.end());
    }
}

std::size_t SearchHalving::rungs_below(std::int64_t pause_after_epoch) const {
    const auto& rungs = stage_.halving.rungs;
    return pause_after_epoch == 0
               ? rungs.size()
               : static_cast<std::size_t>(std::count_if(rungs.begin(), rungs.end(), [&](std::int64_t rung) {
                     return rung < pause_after_epoch;
                 }));
}

TrialAtRungs SearchHalving::look_at(const Trial& trial) {
    const auto& rungs = stage_.halving.rungs;
    TrialAtRungs seen;
    seen.released = rungs.size();
    std::vector<double> sums(rungs.size(), 0);
    std::vector<int> values(rungs.size(), 0);
    std::vector<bool> all_there(rungs.size(), true);
    for (const JobId id : trial.jobs) {
        const auto& job = store_.jobs().at(id);
        seen.released = std::min(seen.released, rungs_below(job.resources.pause_after_epoch));
        const auto epochs = store_.epochs(id);
        const bool ended = job.state == JobState::succeeded || is_over_without_result(job.state);
        for (std::size_t rung = 0; rung < rungs.size(); ++rung) {
            const bool reached = static_cast<std::int64_t>(epochs.size()) >= rungs[rung];
            all_there[rung] = all_there[rung] && (reached || ended);
            const bool counts = reached || job.state == JobState::succeeded;
            const auto value = value_at_rung(epochs, rungs[rung], trial.selection, stage_.select_by,
                                             stage_.goal_of(stage_.select_by.name));
            if (counts && value) {
                sums[rung] += *value;
                ++values[rung];
            }
        }
    }
    for (std::size_t rung = 0; rung < rungs.size(); ++rung) {
        auto& arrival = seen.at.emplace_back();
        if (all_there[rung]) {
            arrival.emplace();
            if (values[rung] > 0) {
                arrival->value = sums[rung] / values[rung];
            }
        }
    }
    return seen;
}

bool SearchHalving::runs(const Trial& trial) const {
    return std::any_of(trial.jobs.begin(), trial.jobs.end(),
                       [&](JobId job) { return store_.jobs().at(job).state == JobState::running; });
}

void SearchHalving::look_at(std::size_t place) {
    TrialAtRungs now = look_at(trials_[place]);
    if (now != seen_[place]) {
        seen_[place] = std::move(now);
        is_news_ = true;
    }
}

bool SearchHalving::look_at_what_is_new() {
    for (std::size_t looks = 0; !changed_.empty(); ++looks) {
        if (looks == kTrialsAtATime) {
            return false;
        }
        const std::size_t place = *changed_.begin();
        look_at(place);
        if (runs(trials_[place])) {
            running_.insert(place);
        } else {
            running_.erase(place);
        }
        changed_.erase(changed_.begin());
    }
    for (const std::size_t place : running_) {
        look_at(place);
    }
    return true;
}

std::vector<JobId> SearchHalving::advance() {
    const auto& rungs = stage_.halving.rungs;
    std::vector<JobId> further;
    while (true) {
        if (promoted_.empty()) {
            if (!look_at_what_is_new() || !std::exchange(is_news_, false)) {
                return further;
            }
            for (const std::size_t place : promotions(stage_.halving, seen_)) {
                promoted_.emplace_back(place, seen_[place].released + 1);
            }
            if (promoted_.empty()) {
                return further;
            }
        }
        for (std::size_t i = 0; i < kTrialsAtATime && !promoted_.empty(); ++i) {
            const auto [place, next] = promoted_.front();
            const Trial& trial = trials_[place];
            for (const JobId job : trial.jobs) {
                job_changed(job);
                further.push_back(job);
                if (rungs_below(store_.jobs().at(job).resources.pause_after_epoch) < next) {
                    dispatcher_.promote(job, next < rungs.size() ? rungs[next] : trial.epochs);
                }
            }
            promoted_.pop_front();
        }
        if (further.size() >= kTrialsAtATime) {
            return further;
        }
    }
}

}  // namespace orchestrate
