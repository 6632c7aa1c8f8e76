// What must hold of a worker of the simulation, by what its runner, its disk and its connection have seen.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "tests/coordinator/simulation/simulation_parts.h"

namespace orchestrate::test {
namespace {

constexpr double kCostlySeconds = 1;
constexpr double kFirstPause = 100;
constexpr double kMaxPause = 5000;

bool contains(const std::vector<AttemptId>& attempts, const AttemptId& attempt) {
    return std::find(attempts.begin(), attempts.end(), attempt) != attempts.end();
}

}  // namespace

void Simulation::Worker::check(bool holds, const std::string& what) const {
    if (!holds) {
        world.check(false, hello.name + " " + what);
    }
}

// What it does not say that it holds is done again, or never.
void Simulation::Worker::check_hello(const Hello& said) const {
    for (const auto& [attempt, beats] : unacknowledged) {
        check(contains(said.held, attempt), "has forgotten the end of " + name_of(attempt));
    }
    for (const auto& attempt : held) {
        // One that leaves gives back what it has not begun.
        check(contains(said.held, attempt) || (core->leaving() && trained != attempt),
              "has forgotten that it holds " + name_of(attempt));
    }
    for (const auto& attempt : said.held) {
        check(contains(held, attempt) || unacknowledged.contains(attempt),
              fmt::format("says that it holds {}, which is over", name_of(attempt)));
    }
}

void Simulation::Worker::check_end(const AttemptEnded& ended) const {
    const bool is_held_up_by_rank = !lost_rank.empty() && beats_with_lost_rank > 1;
    check(trained != ended.attempt || is_held_up_by_rank,
          fmt::format("reports the end of {}, which runs", name_of(ended.attempt)));
    const bool is_costly = ended.result && ended.result->total_seconds >= kCostlySeconds;
    check(!is_costly || !unacknowledged.contains(ended.attempt) || is_on_disk(ended.attempt),
          fmt::format("reports the result of {} before it is on disk", name_of(ended.attempt)));
}

void Simulation::Worker::check_welcomed(const Welcome& welcome, const std::set<AttemptId>& ends_due,
                                        std::optional<AttemptId> stale) const {
    for (const auto& attempt : ends_due) {
        check(reported.contains(attempt),
              fmt::format("has reconnected, and does not report the end of {} again", name_of(attempt)));
    }
    for (const auto& attempt : epochs_due) {
        check(stale || !contains(welcome.current, attempt),
              "has reconnected, and does not report the epochs of " + name_of(attempt));
    }
    check(!stale || trained != stale || stop_cause, "does not stop what was given to another worker");
}

void Simulation::Worker::check_beat(bool stays) const {
    const bool is_silent = world.now_ - heard_at > kSilence;
    check(stays || is_silent, "leaves a coordinator that is not silent");
    check(!stays || !is_silent, "stays although the coordinator is silent");
    check_on_disk(2);
    const bool should_end = !lost_rank.empty() && (beats_with_lost_rank > 1 || !trained);
    check(!stays || !should_end || core->ended(), "has lost a rank and does not end");
}

void Simulation::Worker::check_pause(std::optional<std::int64_t> pause) const {
    const bool is_orphan = world.now_ - reached_at > orphan_limit;
    if (!pause) {
        check(exit_code.has_value(), "neither connects again nor ends");
        check(exit_code != 1 || is_orphan || core->leaving() || was_refused,
              "gives up its coordinator too early");
        return;
    }
    check(!is_orphan && !core->leaving(), "looks for a coordinator although it should end");
    const double usual = std::min(kFirstPause * std::exp2(failed_connections), kMaxPause);
    const auto milliseconds = static_cast<double>(*pause);
    check(milliseconds > usual / 2 - 1 && milliseconds < usual * 3 / 2 + 1,
          fmt::format("connects again after {} ms", *pause));
}

void Simulation::Worker::check_state() const {
    if (core->ended()) {
        return;
    }
    check_hello(core->hello());
    check(trained || core->queue().empty() || has_failed_ranks, "holds attempts and begins none");
    if (core->leaving()) {
        check_leaving();
    }
}

void Simulation::Worker::check_leaving() const {
    check(said_goodbye || !is_connected(), "leaves without a word");
    for (const auto& attempt : held) {
        check(trained == attempt || !is_connected(),
              fmt::format("leaves and does not give back {}", name_of(attempt)));
    }
    check(!trained || stop_cause, "leaves and does not stop what it runs");
    check(trained || !unacknowledged.empty(), "has nothing left to do, and does not end");
}

// What has waited for its acknowledgement for so many heartbeats.
void Simulation::Worker::check_on_disk(int beats) const {
    for (const auto& [attempt, waited] : unacknowledged) {
        const auto end = world.ends_.find(attempt);
        check(waited < beats || end == world.ends_.end() || end->second != Cause::succeeded ||
                  is_on_disk(attempt),
              fmt::format("holds the result of {} in memory only", name_of(attempt)));
    }
}

void Simulation::Worker::check_exit() const {
    check(*exit_code != 0 || (!trained && unacknowledged.empty()), "ends as if nothing were left to do");
    check_on_disk(0);
}

// Or the coordinator has had it: from there, or from another worker that found it there.
bool Simulation::Worker::is_on_disk(const AttemptId& attempt) const {
    const auto files = world.workers_disk_.list(kSpoolFolder);
    const auto file = fmt::format("job-{}-attempt-{}.result", attempt.job, attempt.number);
    return world.classified_ends_.contains(attempt) ||
           std::find(files.begin(), files.end(), file) != files.end();
}

}  // namespace orchestrate::test
