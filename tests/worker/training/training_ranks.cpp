// TrainingRun by mpirun: the same job on one rank and on all of them gives the same losses, dropout on,
// uneven lengths, and last batches with fewer examples than ranks. Usage: training_ranks SHARED_OBJECT
#include <filesystem>
#include <iostream>
#include <new>

#include <ATen/Parallel.h>
#include <dlfcn.h>

#include "common/base/error.h"
#include "losses.h"
#include "tests/worker/training/ablations.h"
#include "tests/worker/training/synthetic_data.h"
#include "tests/worker/training/work_done_again.h"
#include "worker/training/runtime/all_ranks.h"
#include "worker/training/runtime/out_of_memory.h"
#include "worker/training/runtime/rank_store.h"
#include "worker/training/support/interface_address.h"

namespace {

using namespace orchestrate;
using namespace orchestrate::test;

void expect(bool condition, const std::string& what) {
    if (!condition) {
        throw std::runtime_error("not true: " + what);
    }
}

// `options`: how the ranks train, against one rank with the whole batch at a time.
void losses_and_results_do_not_depend_on_ranks(Collective& collective, const RunOptions& options) {
    const PreparedData data = synthetic_data(kTrainRows);
    const JobConfig config = synthetic_job();
    expect(config.model.hidden_dropout_prob == 0.1 && config.model.attention_probs_dropout_prob == 0.1 &&
               config.model.classifier_dropout == 0.1,
           "dropout is on");
    SingleRank alone;
    const TrainingRun single = run_job(config, data, alone);
    const TrainingRun spread = run_job(config, data, collective, options);
    expect(single.outcome.cause == Cause::succeeded && spread.outcome.cause == Cause::succeeded,
           "both succeed");
    expect(single.losses.size() == static_cast<std::size_t>(kSteps), "51 steps");
    const double difference = largest_difference(single.losses, spread.losses);
    std::cout << "rank " << collective.rank() << ", micro-batch " << options.micro_batch
              << ": largest difference of " << kSteps << " losses " << difference << std::endl;
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
        expect(std::abs(test_loss(many) - test_loss(one)) < 1e-5, "equal test loss");
    }
}

// As GPUs do it: what is recorded is repeated before and after the sums over the ranks.
void recorded_passes_do_not_depend_on_ranks(Collective& collective) {
    RecordedCounts counts;
    RunOptions options;
    options.use_libtorch_kernels = true;
    options.change_device = [&](TrainingDevice& device) { record_by_doing_again(device, counts); };
    losses_and_results_do_not_depend_on_ranks(collective, options);
    expect(counts.replayed > 51, "most passes and updates are repeated ones");
}

// Another mask of dropout at each step and example, or the comparison above would show less than it says.
void dropout_changes_losses() {
    const PreparedData data = synthetic_data(kTrainRows);
    JobConfig config = synthetic_job();
    SingleRank alone;
    const TrainingRun with = run_job(config, data, alone);
    config.model.hidden_dropout_prob = config.model.attention_probs_dropout_prob =
        config.model.classifier_dropout = 0;
    const TrainingRun without = run_job(config, data, alone);
    expect(largest_difference(with.losses, without.losses) > 1e-2, "dropout changes the losses");
}

// Of a model with several slices of gradients, the first are summed before the backward pass is over.
void sums_run_beside_the_backward_pass(Collective& collective) {
    const PreparedData data = synthetic_data(256);
    JobConfig config = synthetic_job();
    config.model.hidden_size = 256;
    config.model.intermediate_size = 1024;
    config.model.num_hidden_layers = 4;
    config.train.epochs = 4;
    config.train.batch_size = 64;
    StepTrace trace(collective.rank());
    RunOptions options;
    options.trace = &trace;
    const TrainingRun run = run_job(config, data, collective, options);
    expect(run.outcome.cause == Cause::succeeded, "the traced job succeeds");
    const SumOverlap overlap = trace.overlap();
    std::cout << "rank " << collective.rank() << ": in " << overlap.steps_with_early_sum << " of "
              << overlap.steps << " steps a sum ended before the backward pass; " << overlap.hidden_seconds
              << " of " << overlap.seconds << " s of sums lie beside it" << std::endl;
    expect(overlap.steps == 16, "16 steps are traced");
    expect(overlap.steps_with_early_sum >= 1, "a sum ends before the backward pass does");
}

// Masks chosen by scores are the same too: others would give other losses.
void ablations_do_not_depend_on_ranks(Collective& collective) {
    const PreparedData data = synthetic_data(kTrainRows);
    for (const Ablation& ablation : ablations()) {
        JobConfig config = synthetic_job();
        config.train.epochs = 4;
        ablation.apply(config);
        SingleRank alone;
        const TrainingRun single = run_job(config, data, alone);
        const TrainingRun spread = run_job(config, data, collective);
        const double difference = largest_difference(single.losses, spread.losses);
        expect(difference < 1e-5,
               ablation.name + ": losses equal to 1e-5, not " + std::to_string(difference));
        if (collective.rank() == 0) {
            expect(spread.outcome.result.test_predictions.predicted_class ==
                       single.outcome.result.test_predictions.predicted_class,
                   ablation.name + ": equal predictions");
        }
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

// Class weights, smoothing and micro-batches: the mean is that over the global batch.
void a_weighted_loss_does_not_depend_on_ranks(Collective& collective) {
    const PreparedData data = synthetic_data(kTrainRows);
    JobConfig config = synthetic_job();
    config.train.class_weights = ClassWeighting::balanced;
    config.train.label_smoothing = 0.1;
    SingleRank alone;
    const TrainingRun single = run_job(config, data, alone);
    const TrainingRun spread = run_job(config, data, collective, {.micro_batch = 3});
    const double difference = largest_difference(single.losses, spread.losses);
    expect(difference < 1e-5, "weighted losses equal to 1e-5, not " + std::to_string(difference));
}

JobConfig short_job() {
    JobConfig config = synthetic_job();
    config.train.epochs = 4;  // 12 steps
    return config;
}

// Memory for 3 examples at a time on one rank; the others have plenty.
std::function<void(std::int64_t, std::int64_t)> little_memory_on(int poor_rank,
                                                                 const Collective& collective) {
    return [poor = collective.rank() == poor_rank](std::int64_t step, std::int64_t examples) {
        if (poor && step >= 2 && examples > 3) {
            throw std::bad_alloc();
        }
    };
}

void a_rank_without_memory_makes_all_take_less(Collective& collective) {
    const PreparedData data = synthetic_data(kTrainRows);
    const JobConfig config = short_job();
    SingleRank alone;
    const TrainingRun single = run_job(config, data, alone);
    for (const int poor : {0, collective.size() - 1}) {
        const TrainingRun spread =
            run_job(config, data, collective,
                    {.retry_out_of_memory = true, .before_pass = little_memory_on(poor, collective)});
        expect(spread.outcome.cause == Cause::succeeded, "it succeeds with smaller micro-batches");
        const double difference = largest_difference(single.losses, spread.losses);
        expect(difference < 1e-5, "losses equal to 1e-5 after the retry, not " + std::to_string(difference));
        expect(collective.rank() != 0 || !spread.log.empty(), "the retry is logged");
    }
}

void a_rank_without_memory_ends_all(Collective& collective) {
    const PreparedData data = synthetic_data(kTrainRows);
    const JobConfig config = short_job();
    for (const int poor : {0, collective.size() - 1}) {
        bool ended = false;
        try {
            run_job(config, data, collective, {.before_pass = little_memory_on(poor, collective)});
        } catch (const OutOfMemory& error) {
            ended = true;
            expect(std::string(error.what()).find("on 1 of ") != std::string::npos, "it says how many ranks");
        }
        expect(ended, "every rank ends when one has no memory");
    }
}

void what_fails_on_one_rank_fails_on_all(Collective& collective) {
    const std::chrono::milliseconds deadline(60000);
    const int last = collective.size() - 1;
    const auto outcome = [&](const std::function<void()>& work) {
        try {
            run_on_all_ranks(collective, deadline, work);
        } catch (const OutOfMemory&) {
            return std::string("memory");
        } catch (const UserError& error) {
            return std::string("user: ") + error.what();
        } catch (const std::runtime_error&) {
            return std::string("other");
        }
        return std::string("done");
    };
    expect(outcome([] {}) == "done", "all ranks succeed");
    const std::string user = outcome([&] {
        if (collective.rank() == last) {
            throw UserError("no such file");
        }
    });
    expect(user.rfind("user: ", 0) == 0, "an error on the last rank is one on all, not " + user);
    if (collective.rank() == 0) {
        expect(user == "user: on rank " + std::to_string(last) + ": no such file", "rank 0 quotes it");
    }
    expect(outcome([&] {
               if (collective.rank() == last) {
                   throw std::bad_alloc();
               }
               throw std::runtime_error("something else");
           }) == "memory",
           "a lack of memory is told before other errors");
}

class CheckpointObserver final : public AttemptObserver {
  public:
    void on_progress(const TrainingProgress&) override {}
    void on_epoch(const EpochMetrics&) override {}
    void on_log(const std::string&) override {}
    void on_checkpoint(const StoredCheckpoint& checkpoint) override { checkpoints.push_back(checkpoint); }
    std::vector<StoredCheckpoint> checkpoints;
};

// Stopped in the middle of an epoch, then gone on: the losses of the steps after that, and the result, have the bits
// of a training that was left in peace. Only the first rank sees the file.
void a_checkpoint_brings_all_ranks_back(Collective& collective) {
    constexpr std::int64_t kStop = 13;
    const PreparedData data = synthetic_data(kTrainRows);
    const JobConfig config = synthetic_job();
    const TrainingDevice device = cpu_device();
    const auto files = make_system_files();
    const TrainingRun peace = run_job(config, data, collective);
    std::string folder = (std::filesystem::temp_directory_path() / "orchestrate-ranks-XXXXXX").string();
    if (collective.rank() == 0) {
        expect(mkdtemp(folder.data()) != nullptr, "a folder for checkpoints");
    }
    CheckpointObserver observer;
    std::vector<double> losses;
    std::atomic<bool> stop{false};
    TrainerInputs inputs{config, data, device, collective, observer, stop};
    inputs.files = files.get();
    inputs.checkpoints = {1, folder, 3600, {}};
    inputs.on_step = [&](std::int64_t step, double loss) {
        losses.push_back(loss);
        stop = step == kStop && collective.rank() == 0;
    };
    expect(train(inputs).cause == Cause::preempted, "preempted");
    expect(observer.checkpoints.size() == (collective.rank() == 0 ? 1 : 0), "the first rank writes");
    inputs.checkpoints.resume_from = {collective.rank() == 0 ? observer.checkpoints[0] : StoredCheckpoint()};
    stop = false;
    const AttemptOutcome resumed = train(inputs);
    expect(losses == peace.losses, "the same losses, each step once");
    expect(test_loss(resumed.result) == test_loss(peace.outcome.result), "the same test loss");
    expect(resumed.result.test_predictions.probability == peace.outcome.result.test_predictions.probability,
           "the same probabilities");
    if (collective.rank() == 0) {
        std::filesystem::remove_all(folder);
    }
}

// A rank that meets an error within a step, or finds the job wrong: all end with that error, at once and in step.
void an_error_of_one_rank_ends_all_and_they_go_on(Collective& collective) {
    const PreparedData data = synthetic_data(kTrainRows);
    const int last = collective.size() - 1;
    const auto failing = [&](const JobConfig& config, const RunOptions& options) {
        const auto start = std::chrono::steady_clock::now();
        std::string message;
        try {
            run_job(config, data, collective, options);
        } catch (const std::exception& error) {
            expect(dynamic_cast<const FailedOnAllRanks*>(&error) != nullptr, "it fails on all ranks");
            message = error.what();
        }
        expect(std::chrono::steady_clock::now() - start < std::chrono::seconds(10), "all end at once");
        return message;
    };
    for (const int broken : {0, last}) {
        RunOptions options;
        options.before_pass = [&collective, broken](std::int64_t step, std::int64_t) {
            if (step == 3 && collective.rank() == broken) {
                throw std::runtime_error("the driver is gone");
            }
        };
        const std::string message = failing(short_job(), options);
        expect(message.find("the driver is gone") != std::string::npos || collective.rank() != 0,
               "rank 0 quotes the error, not '" + message + "'");
        expect(!message.empty(), "every rank fails");
    }
    JobConfig wrong = short_job();
    wrong.model.max_position_embeddings = collective.rank() == last ? 4 : wrong.model.max_position_embeddings;
    const std::string message = failing(wrong, {});
    if (collective.rank() == 0) {
        expect(message.rfind("on rank " + std::to_string(last) + ": ", 0) == 0 &&
                   message.find("max_position_embeddings") != std::string::npos,
               "rank 0 quotes the error, not '" + message + "'");
    }
    expect(run_job(short_job(), data, collective).outcome.cause == Cause::succeeded, "the next job succeeds");
}

// Where ranks meet for NCCL: values written by one are read by the others, over the interface that was named.
void ranks_meet_in_a_store_on_the_chosen_interface(Collective& collective) {
    ::setenv(kInterfaceVariable, "lo", 1);
    const auto store = make_rank_store(collective, std::chrono::seconds(30));
    store->set("from rank " + std::to_string(collective.rank()), std::to_string(100 + collective.rank()));
    for (int rank = 0; rank < collective.size(); ++rank) {
        expect(store->get_to_str("from rank " + std::to_string(rank)) == std::to_string(100 + rank),
               "what each rank has written is read by all");
    }
    std::vector<std::byte> all_have_read;
    collective.gather(all_have_read, std::chrono::seconds(30));
    collective.broadcast(all_have_read, std::chrono::seconds(30));  // rank 0 serves until then
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
        dropout_changes_losses();
        losses_and_results_do_not_depend_on_ranks(*collective, {});
        recorded_passes_do_not_depend_on_ranks(*collective);
        for (const std::int64_t micro_batch : {1, 3}) {
            RunOptions options;
            options.micro_batch = micro_batch;
            options.bucket_floats = 1000;
            losses_and_results_do_not_depend_on_ranks(*collective, options);
        }
        if (collective->size() == 2) {  // more ranks than cores take turns, and sums wait for their turn
            sums_run_beside_the_backward_pass(*collective);
        }
        ablations_do_not_depend_on_ranks(*collective);
        ranks_meet_in_a_store_on_the_chosen_interface(*collective);
        a_stop_reaches_all_ranks(*collective);
        an_error_of_one_rank_ends_all_and_they_go_on(*collective);
        a_weighted_loss_does_not_depend_on_ranks(*collective);
        a_rank_without_memory_makes_all_take_less(*collective);
        a_rank_without_memory_ends_all(*collective);
        what_fails_on_one_rank_fails_on_all(*collective);
        a_checkpoint_brings_all_ranks_back(*collective);
    } catch (const std::exception& error) {
        std::cerr << "rank " << (collective ? collective->rank() : -1) << ": " << error.what() << std::endl;
        _Exit(1);
    }
    return 0;
}
