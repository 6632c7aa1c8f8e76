// TrainingRun by mpirun: the same job on one rank and on all of them gives the same losses, dropout on,
// uneven lengths, and last batches with fewer examples than ranks. Usage: training_ranks SHARED_OBJECT
#include <iostream>

#include <ATen/Parallel.h>
#include <dlfcn.h>

#include "tests/worker/training/synthetic_data.h"

namespace {

using namespace orchestrate;
using namespace orchestrate::test;

void expect(bool condition, const std::string& what) {
    if (!condition) {
        throw std::runtime_error("not true: " + what);
    }
}

void losses_and_results_do_not_depend_on_ranks(Collective& collective) {
    const PreparedData data = synthetic_data(kTrainRows);
    const JobConfig config = synthetic_job();
    SingleRank alone;
    const TrainingRun single = run_job(config, data, alone);
    const TrainingRun spread = run_job(config, data, collective);
    expect(single.outcome.cause == Cause::succeeded && spread.outcome.cause == Cause::succeeded,
           "both succeed");
    expect(single.losses.size() == static_cast<std::size_t>(kSteps), "51 steps");
    const double difference = largest_difference(single.losses, spread.losses);
    std::cout << "rank " << collective.rank() << ": largest difference of " << kSteps << " losses "
              << difference << std::endl;
    expect(difference < 1e-5, "losses equal to 1e-5, not " + std::to_string(difference));
    if (collective.rank() == 0) {
        const AttemptResult& one = single.outcome.result;
        const AttemptResult& many = spread.outcome.result;
        expect(many.ranks == collective.size(), "the width is reported");
        expect(many.selected_epoch == one.selected_epoch, "the same epoch is selected");
        expect(many.test_predictions.row == one.test_predictions.row,
               "every row is predicted once, in order");
        expect(many.test_predictions.predicted_class == one.test_predictions.predicted_class,
               "equal predictions");
        expect(std::abs(many.test.loss - one.test.loss) < 1e-5, "equal test loss");
    }
}

// The first rank is told to stop after step 4; all ranks end before another step is taken.
void a_stop_reaches_all_ranks(Collective& collective) {
    const PreparedData data = synthetic_data(kTrainRows);
    const JobConfig config = synthetic_job();
    const TrainingDevice device = cpu_device();
    SilentObserver observer;
    std::atomic<bool> stop{false};
    std::int64_t steps = 0;
    TrainerInputs inputs{config, data, device, collective, observer, stop};
    inputs.on_step = [&](std::int64_t step, double) {
        steps = step;
        stop = step == 4 && collective.rank() == 0;
    };
    expect(train(inputs).cause == Cause::preempted, "preempted");
    expect(steps == 4, "4 steps were done, not " + std::to_string(steps));
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::cerr << "usage: training_ranks SHARED_OBJECT\n";
        return 2;
    }
    at::set_num_threads(1);
    void* const library = dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL);
    if (library == nullptr) {
        std::cerr << dlerror() << '\n';
        return 1;
    }
    const auto open = reinterpret_cast<OpenCollective>(dlsym(library, kOpenCollectiveSymbol));
    std::unique_ptr<Collective> collective;
    try {
        collective.reset(open({}));
        losses_and_results_do_not_depend_on_ranks(*collective);
        a_stop_reaches_all_ranks(*collective);
    } catch (const std::exception& error) {
        std::cerr << "rank " << (collective ? collective->rank() : -1) << ": " << error.what() << std::endl;
        _Exit(1);
    }
    return 0;
}
