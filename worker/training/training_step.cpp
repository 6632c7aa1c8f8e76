#include "worker/training/training_step.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

namespace orchestrate {

TrainingStep::TrainingStep(const TrainerInputs& inputs, const CompactVocabulary& vocabulary,
                           Parameters& parameters, const EncoderClassifier& model)
    : in_(inputs),
      vocabulary_(vocabulary),
      parameters_(parameters),
      model_(model),
      optimizer_(parameters, inputs.config.train) {
    if (in_.collective.size() > 1) {
        reducer_ = in_.device.make_reducer(in_.collective, kStepDeadline);
        buckets_ = std::make_unique<GradientBuckets>(parameters_, *reducer_, in_.bucket_floats);
    }
}

TrainingStep::Result TrainingStep::run(std::span<const std::int64_t> batch, std::int64_t step,
                                       double learning_rate) {
    if (in_.trace != nullptr) {
        in_.trace->begin_step(step);
    }
    parameters_.gradients_and_statistics().zero_();
    backward_passes(batch, step);
    if (buckets_) {
        sum_over_ranks();
    }
    const Result result = read_statistics(static_cast<std::int64_t>(batch.size()));
    if (!result.stop) {
        const TraceSpan span(in_.trace, "optimiser");
        optimizer_.step(learning_rate);
    }
    return result;
}

void TrainingStep::backward_passes(std::span<const std::int64_t> batch, std::int64_t step) {
    const auto batch_rows = static_cast<std::int64_t>(batch.size());
    const RowRange share = share_of(batch_rows, in_.collective.rank(), in_.collective.size());
    const std::int64_t pass_rows =
        in_.micro_batch > 0 ? in_.micro_batch : std::max<std::int64_t>(1, batch_rows);
    const DropoutState dropout{in_.config.seed.data_order, step};
    double loss_sum = 0;
    for (std::int64_t begin = share.begin; begin < share.end; begin += pass_rows) {
        const std::int64_t end = std::min(share.end, begin + pass_rows);
        const auto rows =
            batch.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
        std::optional<TraceSpan> span(std::in_place, in_.trace, "forward");
        const auto layout = std::make_shared<BatchLayout>(
            pack(in_.data.train, rows, static_cast<std::uint32_t>(begin), vocabulary_));
        const at::Tensor loss = summed_cross_entropy(model_.logits(layout, dropout), layout->batch.label);
        if (buckets_ && end == share.end) {
            buckets_->arm();
        }
        loss_sum += loss.item<double>();
        if (end == share.end) {
            write_statistics(loss_sum);
        }
        span.emplace(in_.trace, StepTrace::kBackward);
        torch::autograd::backward({loss},
                                  {at::full({}, 1.0 / static_cast<double>(batch_rows), loss.options())});
    }
    if (share.begin == share.end) {
        if (buckets_) {
            buckets_->arm();
        }
        write_statistics(0);
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

void TrainingStep::write_statistics(double loss_sum) {
    const bool stop = in_.collective.rank() == 0 && in_.stop.load(std::memory_order_relaxed);
    statistics().copy_(at::tensor({static_cast<float>(loss_sum), stop ? 1.0F : 0.0F}));
}

TrainingStep::Result TrainingStep::read_statistics(std::int64_t batch_rows) {
    const at::Tensor values = statistics().to(at::kCPU);
    return {values[0].item<double>() / static_cast<double>(batch_rows), values[1].item<double>() > 0};
}

}  // namespace orchestrate
