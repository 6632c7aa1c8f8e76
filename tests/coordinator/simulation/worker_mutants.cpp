#include "tests/coordinator/simulation/worker_mutants.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/base/visit.h"

namespace orchestrate::test {
namespace {

template <class Core>
std::unique_ptr<WorkerCore> make(WorkerCore::Options options, WorkerEnv& env, DurableFiles& files, Log log,
                                 WorkerCore::Time now) {
    return std::make_unique<Core>(std::move(options), env, files, std::move(log), now);
}

class ForgetsResultsWhenItReconnects final : public WorkerCore {
  public:
    using WorkerCore::WorkerCore;

  private:
    void resend() override {
        for (const auto& message : std::exchange(state().outbox, {})) {
            env().send(widen<WorkerReport>(message));
        }
    }
};

class BeginsTwoAtOnce final : public WorkerCore {
  public:
    using WorkerCore::WorkerCore;

  private:
    void take(const Lease& lease) override {
        if (state().leaving) {
            WorkerCore::take(lease);
        } else {
            begin(lease);
        }
    }
};

class HandsBackWhatRuns final : public WorkerCore {
  public:
    using WorkerCore::WorkerCore;

  private:
    void retract(const std::vector<AttemptId>& attempts) override {
        WorkerCore::retract(attempts);
        if (running() && std::find(attempts.begin(), attempts.end(), *running()) != attempts.end()) {
            env().send(AttemptEnded{*running(), Cause::preempted, "handed back, before it began", {}});
        }
    }
};

// Those below were made by someone who did not write the core.

// What it hands back is neither run nor reported.
class DropsRetractedLeasesInSilence final : public WorkerCore {
  public:
    using WorkerCore::WorkerCore;

  private:
    void retract(const std::vector<AttemptId>& attempts) override {
        for (const auto& attempt : attempts) {
            take_from_queue(attempt);
        }
    }
};

// The results of several attempts wait, and the wrong one is forgotten.
class AcknowledgesTheOldestResult final : public WorkerCore {
  public:
    using WorkerCore::WorkerCore;

  private:
    void acknowledge(const Acknowledged& acknowledged) override {
        const auto& own = state().results.own();
        WorkerCore::acknowledge(own.empty() ? acknowledged
                                            : Acknowledged{own.front().ended.attempt, acknowledged.stale});
    }
};

// After a reconnection it continues what was given to others meanwhile.
class KeepsStaleAttempts final : public WorkerCore {
  public:
    using WorkerCore::WorkerCore;

  private:
    void drop_stale(const Welcome&) override {}
};

// The coordinator believes that leases which have not begun were lost with the connection.
class HidesItsQueueInTheHello final : public WorkerCore {
  public:
    using WorkerCore::WorkerCore;

  private:
    std::vector<AttemptId> held() const override {
        std::vector<AttemptId> held = WorkerCore::held();
        std::erase_if(held, [&](const AttemptId& attempt) {
            return std::any_of(queue().begin(), queue().end(),
                               [&](const Lease& lease) { return lease.attempt == attempt; });
        });
        return held;
    }
};

// It ends as soon as nothing runs, whatever has not arrived.
class LeavesWithUnacknowledgedResults final : public WorkerCore {
  public:
    using WorkerCore::WorkerCore;

  private:
    void end_if_done() override {
        if (leaving() && !running()) {
            end(0);
        }
    }
};

// It says goodbye and stops what runs, but begins what was queued.
class KeepsItsQueueWhenItLeaves final : public WorkerCore {
  public:
    using WorkerCore::WorkerCore;

  private:
    void leave(const std::string& why) override {
        auto queue = std::exchange(state().queue, {});
        WorkerCore::leave(why);
        state().queue = std::move(queue);
    }
};

// Killed while the coordinator is away, it takes its results with it.
class SavesNoResultsWithoutAConnection final : public WorkerCore {
  public:
    using WorkerCore::WorkerCore;

  private:
    void save_results() override {}
    void save_late_results() override {}
};

// On a connection that is dead it waits for ever.
class NeverNoticesSilence final : public WorkerCore {
  public:
    using WorkerCore::WorkerCore;

  private:
    bool is_silent(Time) const override { return false; }
};

// An attempt that has ended does not begin the next of the queue.
class StopsAfterOneAttempt final : public WorkerCore {
  public:
    using WorkerCore::WorkerCore;

  private:
    void end_attempt(const AttemptEnded& ended) override {
        auto queue = std::exchange(state().queue, {});
        WorkerCore::end_attempt(ended);
        state().queue = std::move(queue);
    }
};

// The order in which leases came is lost.
class BeginsTheNewestFirst final : public WorkerCore {
  public:
    using WorkerCore::WorkerCore;

  private:
    void begin_next() override {
        if (state().queue.size() > 1 && !running()) {
            std::rotate(state().queue.begin(), std::prev(state().queue.end()), state().queue.end());
        }
        WorkerCore::begin_next();
    }
};

}  // namespace

const std::vector<WorkerMutant>& worker_mutants() {
    static const std::vector<WorkerMutant> mutants{
        {"forgets_results_when_it_reconnects", make<ForgetsResultsWhenItReconnects>},
        {"begins_two_at_once", make<BeginsTwoAtOnce>},
        {"hands_back_what_runs", make<HandsBackWhatRuns>},
        {"drops_retracted_leases_in_silence", make<DropsRetractedLeasesInSilence>},
        {"acknowledges_the_oldest_result", make<AcknowledgesTheOldestResult>},
        {"keeps_stale_attempts", make<KeepsStaleAttempts>},
        {"hides_its_queue_in_the_hello", make<HidesItsQueueInTheHello>},
        {"leaves_with_unacknowledged_results", make<LeavesWithUnacknowledgedResults>},
        {"keeps_its_queue_when_it_leaves", make<KeepsItsQueueWhenItLeaves>},
        {"saves_no_results_without_a_connection", make<SavesNoResultsWithoutAConnection>},
        {"never_notices_silence", make<NeverNoticesSilence>},
        {"stops_after_one_attempt", make<StopsAfterOneAttempt>},
        {"begins_the_newest_first", make<BeginsTheNewestFirst>},
    };
    return mutants;
}

}  // namespace orchestrate::test
