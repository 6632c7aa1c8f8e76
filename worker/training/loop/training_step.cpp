#include "worker/training/loop/training_step.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include "worker/training/runtime/all_ranks.h"
#include "worker/training/runtime/out_of_memory.h"

namespace orchestrate {

namespace {

// Places of the statistics.
constexpr std::int64_t kLoss = 0;
constexpr std::int64_t kStop = 1;
constexpr std::int64_t kNoMemory = 2;
constexpr std::int64_t kFailed = 3;
static_assert(Parameters::kStepStatistics == 4);

std::int64_t first_pass_rows(const TrainerInputs& inputs) {
    const std::int64_t ranks = inputs.collective.size();
    const std::int64_t batch = std::min(inputs.config.train.batch_size, inputs.data.train.rows());
    const std::int64_t share = (batch + ranks - 1) / ranks;
    return inputs.micro_batch > 0 ? std::min(inputs.micro_batch, share) : share;
}

}  // namespace

TrainingStep::TrainingStep(const TrainerInputs& inputs, const CompactVocabulary& vocabulary,
                           Parameters& parameters, const EncoderClassifier& model)
    : in_(inputs),
      vocabulary_(vocabulary),
      parameters_(parameters),
      model_(model),
      loss_(inputs.config.train, inputs.data.train, inputs.data.classes.size(), inputs.device.device),
      optimizer_(parameters, inputs.config.train),
      pass_rows_(first_pass_rows(inputs)),
      recordings_(model.operations().reads_tensors_only() ? inputs.device.make_captured_graph : nullptr,
                  [&inputs](const std::string& line) {
                      if (inputs.collective.rank() == 0) {
                          inputs.observer.on_log(line);
                      }
                  }),
      passes_(model, loss_, statistics().select(0, kLoss), recordings_) {
    if (model.operations().reads_tensors_only()) {
        const auto options = parameters.values().options();
        learning_rate_ = at::zeros({}, options);
        unread_ = at::zeros({kStepsPerReading, Parameters::kStepStatistics}, options);
    }
}

void TrainingStep::join_ranks() {
    if (in_.collective.size() > 1) {
        reducer_ = in_.device.make_reducer(in_.collective, kStepDeadline);
        buckets_ = std::make_unique<GradientBuckets>(parameters_, *reducer_, in_.bucket_floats);
    }
}

std::vector<TrainingStep::Result> TrainingStep::run(std::span<const std::int64_t> batch, std::int64_t step,
                                                    double learning_rate) {
    if (in_.trace != nullptr) {
        in_.trace->begin_step(step);
    }
    if (!defers_results()) {
        return {run_and_wait(batch, step, learning_rate)};
    }
    if (in_.stop.load(std::memory_order_relaxed)) {
        std::vector<Result> results = finish();
        results.push_back({0, 0, true});
        return results;
    }
    begin(batch, step, learning_rate, loss_.weight(batch));
    constexpr std::chrono::milliseconds kLongestUnread{500};
    const bool is_time = std::chrono::steady_clock::now() - read_at_ > kLongestUnread;
    if (is_time || static_cast<std::int64_t>(unread_weights_.size()) == kStepsPerReading) {
        return finish();
    }
    return {};
}

std::vector<TrainingStep::Result> TrainingStep::finish() {
    std::vector<Result> results;
    if (!unread_weights_.empty()) {
        const TraceSpan span(in_.trace, "wait for the device");
        const at::Tensor found = unread_.to(at::kCPU);
        const auto values = found.accessor<float, 2>();
        for (std::size_t i = 0; i < unread_weights_.size(); ++i) {
            const double weight = unread_weights_[i];
            results.push_back({values[static_cast<std::int64_t>(i)][kLoss] / weight, weight, false});
        }
        unread_weights_.clear();
    }
    read_at_ = std::chrono::steady_clock::now();
    return results;
}

void TrainingStep::begin(std::span<const std::int64_t> batch, std::int64_t step, double learning_rate,
                         double weight) {
    while (true) {
        parameters_.gradients_and_statistics().zero_();
        const auto shortage = memory_shortage_in([&] {
            backward_passes(batch, step, weight);
            update(learning_rate);
        });
        if (!shortage) {
            break;
        }
        recordings_.end("memory is short");
        passes_.forget();
        update_.forget();
        in_.device.release_memory();
        halve_micro_batch(step, 1, *shortage);
    }
    unread_.select(0, static_cast<std::int64_t>(unread_weights_.size())).copy_(statistics());
    unread_weights_.push_back(weight);
}

void TrainingStep::update(double learning_rate) {
    const TraceSpan span(in_.trace, "optimiser");
    if (!model_.operations().reads_tensors_only()) {
        optimizer_.step(learning_rate);
        return;
    }
    learning_rate_.fill_(learning_rate);
    update_.run(recordings_, [this] {
        optimizer_.step(learning_rate_);
        if (in_.config.train.precision == Precision::bf16) {
            parameters_.rounded_weights().refresh();
        }
    });
}

TrainingStep::Result TrainingStep::run_and_wait(std::span<const std::int64_t> batch, std::int64_t step,
                                                double learning_rate) {
    const double weight = loss_.weight(batch);
    while (true) {
        parameters_.gradients_and_statistics().zero_();
        std::exception_ptr failure;
        std::optional<std::string> shortage;
        try {
            shortage = memory_shortage_in([&] { backward_passes(batch, step, weight); });
        } catch (const CollectiveError&) {
            throw;  // a lost rank waits for nobody
        } catch (...) {
            failure = std::current_exception();
            statistics()[kFailed].fill_(1);
        }
        if (shortage) {
            recordings_.end("memory is short");
            passes_.forget();
            in_.device.release_memory();
            statistics()[kNoMemory].fill_(1);
        }
        if (in_.collective.rank() == 0 && in_.stop.load(std::memory_order_relaxed)) {
            statistics()[kStop].fill_(1);
        }
        if (buckets_) {
            sum_over_ranks();
        }
        const at::Tensor found = statistics().to(at::kCPU);
        const auto* const values = found.const_data_ptr<float>();
        const Result result{values[kLoss] / weight, weight, values[kStop] > 0};
        const auto ranks_without_memory = static_cast<std::int64_t>(values[kNoMemory]);
        if (values[kFailed] > 0) {
            run_on_all_ranks(in_.collective, kStepDeadline, [&] {
                if (failure) {
                    std::rethrow_exception(failure);
                }
            });
        }
        if (result.stop) {
            return result;
        }
        if (ranks_without_memory == 0) {
            update(learning_rate);
            return result;
        }
        halve_micro_batch(step, ranks_without_memory, shortage.value_or("another rank ran out"));
    }
}

void TrainingStep::backward_passes(std::span<const std::int64_t> batch, std::int64_t step,
                                   double batch_weight) {
    const RowRange share =
        share_of(static_cast<std::int64_t>(batch.size()), in_.collective.rank(), in_.collective.size());
    const DropoutState dropout{in_.config.seed.data_order, step};
    for (std::int64_t begin = share.begin; begin < share.end; begin += pass_rows_) {
        const std::int64_t end = std::min(share.end, begin + pass_rows_);
        if (in_.before_pass) {
            in_.before_pass(step, end - begin);
        }
        const auto rows =
            batch.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
        const auto arm = [&] {
            if (buckets_ && end == share.end) {
                buckets_->arm();
            }
        };
        std::optional<TraceSpan> span(std::in_place, in_.trace, "forward");
        PackedBatch packed = pack(in_.data.train, rows, static_cast<std::uint32_t>(begin), vocabulary_,
                                  TextWindows::of(in_.config.tokenizer));
        if (model_.operations().reads_tensors_only()) {
            span.reset();
            passes_.run(std::move(packed), {dropout.seed, step, 1.0 / batch_weight}, arm, in_.trace);
            continue;
        }
        const auto layout = std::make_shared<BatchLayout>(std::move(packed));
        const at::Tensor loss = loss_.sum(model_.logits(layout, dropout), layout->batch.label);
        statistics()[kLoss].add_(loss.detach());
        arm();
        span.emplace(in_.trace, StepTrace::kBackward);
        torch::autograd::backward({loss}, {at::full({}, 1.0 / batch_weight, loss.options())});
    }
}

void TrainingStep::halve_micro_batch(std::int64_t step, std::int64_t ranks, const std::string& shortage) {
    const std::string found = "out of memory at step " + std::to_string(step + 1) + " on " +
                              std::to_string(ranks) + " of " + std::to_string(in_.collective.size()) +
                              " rank(s), " + std::to_string(pass_rows_) +
                              " example(s) at a time (study.micro_batch_size)";
    if (!in_.retry_out_of_memory || pass_rows_ == 1) {
        throw OnAllRanks<OutOfMemory>(found + ": " + shortage);
    }
    pass_rows_ /= 2;
    if (in_.collective.rank() == 0) {
        in_.observer.on_log(found + "; going on with " + std::to_string(pass_rows_) + ": " + shortage);
    }
}

void TrainingStep::sum_over_ranks() {
    const TraceSpan span(in_.trace, "wait for sums");
    for (const SumTimes& sum : buckets_->finish()) {
        if (in_.trace != nullptr) {
            in_.trace->add_sum(sum.bytes, sum.begin, sum.end);
        }
    }
}

at::Tensor TrainingStep::statistics() {
    const at::Tensor& all = parameters_.gradients_and_statistics();
    return all.narrow(0, all.numel() - Parameters::kStepStatistics, Parameters::kStepStatistics);
}

}  // namespace orchestrate
