#include "tests/coordinator/simulation/worker_mutants.h"

#include <algorithm>
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

}  // namespace

const std::vector<WorkerMutant>& worker_mutants() {
    static const std::vector<WorkerMutant> mutants{
        {"forgets_results_when_it_reconnects", make<ForgetsResultsWhenItReconnects>},
        {"begins_two_at_once", make<BeginsTwoAtOnce>},
        {"hands_back_what_runs", make<HandsBackWhatRuns>},
    };
    return mutants;
}

}  // namespace orchestrate::test
