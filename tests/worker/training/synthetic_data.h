// Small prepared data made from a seed, and a job that trains on it: texts of uneven length whose tokens say,
// with noise, which class they belong to.
#pragma once

#include <algorithm>

#include "worker/single_rank.h"
#include "worker/training/kernels/keyed_random.h"
#include "worker/training/loop/trainer.h"

namespace orchestrate::test {

inline constexpr std::int64_t kVocabulary = 60;
inline constexpr std::int64_t kClasses = 3;

inline PreparedPart synthetic_part(std::int64_t rows, std::uint64_t seed) {
    PreparedPart part;
    part.offsets = {0};
    std::uint64_t draw = 0;
    const auto random = [&](std::uint64_t below) { return mix(seed, draw++) % below; };
    for (std::int64_t row = 0; row < rows; ++row) {
        const auto label = static_cast<std::int32_t>(random(kClasses));
        const auto length = 3 + random(11);
        part.token_ids.push_back(0);
        for (std::uint64_t i = 0; i < length; ++i) {
            const std::uint64_t word =
                random(3) != 0 ? 10 + static_cast<std::uint64_t>(label) : 20 + random(20);
            part.token_ids.push_back(static_cast<std::int32_t>(word));
        }
        part.token_ids.push_back(2);
        part.offsets.push_back(static_cast<std::int64_t>(part.token_ids.size()));
        part.label.push_back(label);
        part.line.push_back(row + 2);
    }
    return part;
}

inline PreparedData synthetic_data(std::int64_t train_rows) {
    PreparedData data;
    data.classes = {"a", "b", "c"};
    data.train = synthetic_part(train_rows, 1);
    data.validation = synthetic_part(17, 2);
    data.test = synthetic_part(19, 3);
    data.vocabulary_size = kVocabulary;
    for (const PreparedPart* part : {&data.train, &data.validation, &data.test}) {
        for (std::int64_t row = 0; row < part->rows(); ++row) {
            data.report.longest_text_tokens = std::max(data.report.longest_text_tokens, part->length(row));
        }
    }
    return data;
}

// 50 steps with batches of 16, 16 and 2 examples; dropout everywhere.
inline constexpr std::int64_t kTrainRows = 34;
inline constexpr std::int64_t kSteps = 51;

inline JobConfig synthetic_job() {
    JobConfig config;
    config.model.hidden_size = 32;
    config.model.num_hidden_layers = 2;
    config.model.num_attention_heads = 2;
    config.model.intermediate_size = 48;
    config.model.max_position_embeddings = 40;
    config.model.head_width = 16;
    config.model.initializer_range = 0.1;
    config.train.epochs = 17;
    config.train.batch_size = 16;
    config.train.learning_rate = 2e-3;
    config.seed = {7, 11};
    return config;
}

class SilentObserver final : public AttemptObserver {
  public:
    void on_progress(const TrainingProgress&) override {}
    void on_epoch(const EpochMetrics& metrics) override { epochs.push_back(metrics); }
    void on_log(const std::string& line) override { log.push_back(line); }
    std::vector<EpochMetrics> epochs;
    std::vector<std::string> log;
};

// What a training gave: compared between ranks, micro-batches, kernels, threads.
struct TrainingRun {
    std::vector<double> losses;  // of each step
    std::vector<EpochMetrics> epochs;
    std::vector<std::string> log;
    AttemptOutcome outcome;
};

struct RunOptions {
    std::int64_t micro_batch = 0;
    bool retry_out_of_memory = false;
    bool use_libtorch_kernels = false;
    StepTrace* trace = nullptr;
    std::int64_t bucket_floats = 1 << 18;
    std::function<void(std::int64_t step, std::int64_t examples)> before_pass = nullptr;
    const PretrainedWeights* pretrained = nullptr;
    std::filesystem::path models_folder = {};
    std::function<void(TrainingDevice& device)> change_device = nullptr;  // this machine's CPU else
};

inline TrainingRun run_job(const JobConfig& config, const PreparedData& data, Collective& collective,
                           const RunOptions& options = {}) {
    TrainingDevice device = cpu_device();
    if (options.change_device) {
        options.change_device(device);
    }
    SilentObserver observer;
    const std::atomic<bool> stop{false};
    TrainingRun run;
    TrainerInputs inputs{config, data, device, collective, observer, stop};
    inputs.micro_batch = options.micro_batch;
    inputs.retry_out_of_memory = options.retry_out_of_memory;
    inputs.pretrained = options.pretrained;
    inputs.models_folder = options.models_folder;
    inputs.use_libtorch_kernels = options.use_libtorch_kernels;
    inputs.trace = options.trace;
    inputs.bucket_floats = options.bucket_floats;
    inputs.before_pass = options.before_pass;
    inputs.on_step = [&](std::int64_t, double loss) { run.losses.push_back(loss); };
    run.outcome = train(inputs);
    run.epochs = std::move(observer.epochs);
    run.log = std::move(observer.log);
    return run;
}

inline double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
    double largest = a.size() == b.size() ? 0 : 1e9;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
        largest = std::max(largest, std::abs(a[i] - b[i]));
    }
    return largest;
}

}  // namespace orchestrate::test
