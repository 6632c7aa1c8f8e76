#include "worker/training/trainer.h"

#include <cmath>
#include <limits>
#include <optional>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include "common/error.h"
#include "worker/training/evaluation.h"
#include "worker/training/gradient_buckets.h"
#include "worker/training/model.h"
#include "worker/training/optimizer.h"
#include "worker/training/reducer.h"

namespace orchestrate {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kStepDeadline{300000};
constexpr milliseconds kProgressInterval{1000};
constexpr std::int64_t kBucketFloats = 1 << 18;
// A run whose mean loss over this many steps is this many times that of guessing has exploded.
constexpr std::int64_t kExplosionSteps = 20;
constexpr double kExplosionFactor = 10.0;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

void check_configuration(const JobConfig& config, const PreparedData& data) {
    const ModelConfig& model = config.model;
    const auto fail = [](const std::string& message) { throw UserError(message); };
    if (data.classes.size() < 2) {
        fail("the data has " + std::to_string(data.classes.size()) +
             " class(es); classification needs at least 2 (data.classes)");
    }
    if (data.train.rows() == 0) {
        fail("the training part is empty; raise data.split.train or the number of rows");
    }
    if (model.num_attention_heads < 1 || model.hidden_size % model.num_attention_heads != 0) {
        fail("model.hidden_size = " + std::to_string(model.hidden_size) +
             " is no multiple of model.num_attention_heads = " + std::to_string(model.num_attention_heads));
    }
    if (model.hidden_size < 1 || model.num_hidden_layers < 1 || model.intermediate_size < 1 ||
        model.head_width < 0) {
        fail(
            "model.hidden_size, num_hidden_layers and intermediate_size must be at least 1, head_width at "
            "least 0");
    }
    const std::int64_t positions =
        model.max_position_embeddings - first_position(model.model_type, data.special.pad);
    if (data.report.longest_text_tokens > positions) {
        fail("the longest text has " + std::to_string(data.report.longest_text_tokens) +
             " tokens, but model.max_position_embeddings = " + std::to_string(model.max_position_embeddings) +
             " allows " + std::to_string(positions) + "; lower tokenizer.max_length or raise it");
    }
    if (config.train.batch_size < 1 || config.train.epochs < 1) {
        fail("train.batch_size and train.epochs must be at least 1");
    }
    for (const double probability :
         {model.hidden_dropout_prob, model.attention_probs_dropout_prob, model.classifier_dropout}) {
        if (!(probability >= 0.0 && probability < 1.0)) {
            fail("a dropout probability of the model is " + std::to_string(probability) +
                 "; it must be at least 0 and below 1");
        }
    }
    if (config.train.precision != Precision::fp32) {
        fail("train.precision = \"" + to_string(config.train.precision) +
             "\" cannot be trained by this worker; use \"fp32\"");
    }
}

ModelDimensions dimensions_of(const JobConfig& config, const PreparedData& data,
                              const CompactVocabulary& vocabulary) {
    ModelDimensions dimensions;
    dimensions.config = config.model;
    dimensions.classes = static_cast<std::int64_t>(data.classes.size());
    dimensions.vocabulary_size = data.vocabulary_size;
    dimensions.vocabulary_rows = vocabulary.original_id;
    dimensions.pad_token = data.special.pad;
    dimensions.positions = data.report.longest_text_tokens;
    dimensions.token_types = default_token_types(config.model.model_type);
    return dimensions;
}

class Trainer {
  public:
    explicit Trainer(const TrainerInputs& inputs)
        : in_(inputs),
          vocabulary_(CompactVocabulary::of(inputs.data)),
          parameters_(dimensions_of(inputs.config, inputs.data, vocabulary_), inputs.device.device),
          model_(parameters_, Operations(inputs.device.device, inputs.use_libtorch_kernels)),
          optimizer_(parameters_, inputs.config.train) {
        parameters_.initialize(in_.config.seed.initialization);
        if (in_.collective.size() > 1) {
            reducer_ = in_.device.make_reducer(in_.collective, kStepDeadline);
            buckets_ = std::make_unique<GradientBuckets>(parameters_, *reducer_, kBucketFloats);
        }
        rows_ = in_.data.train.rows();
        steps_per_epoch_ = (rows_ + in_.config.train.batch_size - 1) / in_.config.train.batch_size;
        steps_ = steps_per_epoch_ * in_.config.train.epochs;
        tokens_per_epoch_ = static_cast<double>(in_.data.train.token_ids.size());
    }

    AttemptOutcome run() {
        AttemptOutcome outcome;
        for (std::int64_t epoch = 1; epoch <= in_.config.train.epochs; ++epoch) {
            if (const auto cause = train_epoch(epoch, outcome.message)) {
                outcome.cause = *cause;
                return outcome;
            }
            finish_epoch(epoch);
        }
        if (selected_values_.defined()) {
            const at::NoGradGuard no_gradients;
            parameters_.values().copy_(selected_values_);
        }
        report_result(outcome.result);
        return outcome;
    }

  private:
    bool is_first_rank() const { return in_.collective.rank() == 0; }

    // Why training ended, if it did before the end of the epoch.
    std::optional<Cause> train_epoch(std::int64_t epoch, std::string& message) {
        const auto start = Clock::now();
        const auto order = epoch_order(rows_, in_.config.seed.data_order, epoch);
        double loss_of_epoch = 0;
        for (std::int64_t i = 0; i < steps_per_epoch_; ++i) {
            const std::int64_t begin = i * in_.config.train.batch_size;
            const std::int64_t end = std::min(rows_, begin + in_.config.train.batch_size);
            learning_rate_ = learning_rate_at(in_.config.train, step_, steps_);
            const StepResult result = train_step(std::span(order).subspan(
                static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)));
            if (result.stop) {
                return Cause::preempted;
            }
            ++step_;
            if (in_.on_step) {
                in_.on_step(step_, result.mean_loss);
            }
            loss_of_epoch += result.mean_loss * static_cast<double>(end - begin);
            if (has_diverged(result.mean_loss, message)) {
                return Cause::diverged;
            }
            report_progress(epoch, result.mean_loss, i + 1 == steps_per_epoch_);
        }
        epoch_metrics_ = {};
        epoch_metrics_.epoch = epoch;
        epoch_metrics_.train_loss = loss_of_epoch / static_cast<double>(rows_);
        epoch_metrics_.learning_rate = learning_rate_;
        epoch_metrics_.seconds = seconds_since(start);
        epoch_metrics_.tokens_per_second = tokens_per_epoch_ / std::max(1e-9, epoch_metrics_.seconds);
        train_seconds_ += epoch_metrics_.seconds;
        return std::nullopt;
    }

    struct StepResult {
        double mean_loss = 0;  // over the global batch
        bool stop = false;
    };

    // One optimiser step on the examples of a global batch, of which this rank takes its share.
    StepResult train_step(std::span<const std::int64_t> batch) {
        const auto batch_rows = static_cast<std::int64_t>(batch.size());
        const RowRange share = share_of(batch_rows, in_.collective.rank(), in_.collective.size());
        const std::int64_t pass_rows =
            in_.micro_batch > 0 ? in_.micro_batch : std::max<std::int64_t>(1, batch_rows);
        const DropoutState dropout{in_.config.seed.data_order, step_};
        parameters_.gradients_and_statistics().zero_();
        double loss_sum = 0;
        for (std::int64_t begin = share.begin; begin < share.end; begin += pass_rows) {
            const std::int64_t end = std::min(share.end, begin + pass_rows);
            const auto rows =
                batch.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
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
            torch::autograd::backward({loss},
                                      {at::full({}, 1.0 / static_cast<double>(batch_rows), loss.options())});
        }
        if (share.begin == share.end) {
            if (buckets_) {
                buckets_->arm();
            }
            write_statistics(0);
        }
        if (buckets_) {
            buckets_->finish();
        }
        const StepResult result = read_statistics(batch_rows);
        if (!result.stop) {
            optimizer_.step(learning_rate_);
        }
        return result;
    }

    // The sum of losses and the wish to stop travel behind the gradients.
    at::Tensor statistics() {
        const at::Tensor& all = parameters_.gradients_and_statistics();
        return all.narrow(0, all.numel() - Parameters::kStepStatistics, Parameters::kStepStatistics);
    }
    void write_statistics(double loss_sum) {
        const bool stop = is_first_rank() && in_.stop.load(std::memory_order_relaxed);
        statistics().copy_(at::tensor({static_cast<float>(loss_sum), stop ? 1.0F : 0.0F}));
    }
    StepResult read_statistics(std::int64_t batch_rows) {
        const at::Tensor values = statistics().to(at::kCPU);
        return {values[0].item<double>() / static_cast<double>(batch_rows), values[1].item<double>() > 0};
    }

    bool has_diverged(double loss, std::string& message) {
        recent_loss_ += loss;
        if (!std::isfinite(loss)) {
            message = "the loss is " + std::string(std::isnan(loss) ? "not a number" : "infinite") +
                      " at step " + std::to_string(step_) + " of " + std::to_string(steps_) +
                      "; lower train.learning_rate (" + std::to_string(in_.config.train.learning_rate) + ")";
            return true;
        }
        if (step_ % kExplosionSteps != 0) {
            return false;
        }
        const double mean = recent_loss_ / kExplosionSteps;
        recent_loss_ = 0;
        const double guessing = std::log(static_cast<double>(in_.data.classes.size()));
        if (mean > kExplosionFactor * guessing) {
            message = "the loss has exploded to " + std::to_string(mean) + " at step " +
                      std::to_string(step_) + " of " + std::to_string(steps_) + " (guessing has " +
                      std::to_string(guessing) + "); lower train.learning_rate (" +
                      std::to_string(in_.config.train.learning_rate) + ")";
            return true;
        }
        return false;
    }

    void report_progress(std::int64_t epoch, double loss, bool epoch_done) {
        interval_loss_ += loss;
        ++interval_steps_;
        const auto now = Clock::now();
        if (!is_first_rank() || (now - interval_start_ < kProgressInterval && !epoch_done)) {
            return;
        }
        const double seconds = std::max(1e-9, seconds_since(interval_start_));
        TrainingProgress progress;
        progress.phase = epoch_done ? "evaluating" : "training";
        progress.epoch = epoch;
        progress.epochs = in_.config.train.epochs;
        progress.step = step_;
        progress.steps = steps_;
        progress.loss = interval_loss_ / static_cast<double>(interval_steps_);
        progress.tokens_per_second = tokens_per_epoch_ / static_cast<double>(steps_per_epoch_) *
                                     static_cast<double>(interval_steps_) / seconds;
        in_.observer.on_progress(progress);
        interval_start_ = now;
        interval_loss_ = 0;
        interval_steps_ = 0;
    }

    PartMetrics measure(const PreparedPart& part, Evaluation& evaluation) {
        evaluation = evaluate(model_, part, vocabulary_, in_.collective);
        if (!is_first_rank() || part.rows() == 0) {
            return {};
        }
        PartMetrics metrics =
            part_metrics(confusion_of(evaluation, part, in_.data.classes.size()), evaluation.loss);
        metrics.rows = part.rows();
        return metrics;
    }

    // Validation, and whether these weights are the ones to keep.
    void finish_epoch(std::int64_t epoch) {
        Evaluation evaluation;
        epoch_metrics_.validation = measure(in_.data.validation, evaluation);
        if (is_first_rank()) {
            in_.observer.on_epoch(epoch_metrics_);
        }
        interval_start_ = Clock::now();
        if (!agree(is_best(epoch_metrics_.validation))) {
            return;
        }
        selected_epoch_ = epoch;
        selected_validation_ = epoch_metrics_.validation;
        if (epoch < in_.config.train.epochs) {
            selected_values_ = parameters_.values().clone();
        } else {
            selected_values_.reset();
        }
    }

    bool is_best(const PartMetrics& metrics) const {
        if (selected_epoch_ == 0 || in_.data.validation.rows() == 0) {
            return true;
        }
        switch (in_.config.train.epoch_selection) {
            case EpochSelection::last:
                return true;
            case EpochSelection::best_validation_macro_f1:
                return metrics.macro_f1 > selected_validation_.macro_f1;
            case EpochSelection::best_validation_loss:
                return metrics.loss < selected_validation_.loss;
        }
        return true;
    }

    // What rank 0 says.
    bool agree(bool decision) {
        std::vector<double> value{is_first_rank() && decision ? 1.0 : 0.0};
        in_.collective.all_reduce_sum(std::span(value))->wait(kStepDeadline);
        return value[0] > 0;
    }

    void report_result(AttemptResult& result) {
        Evaluation evaluation;
        const PreparedPart& part = in_.data.test;
        result.test = measure(part, evaluation);
        if (!is_first_rank()) {
            return;
        }
        result.selected_epoch = selected_epoch_;
        result.parameters = parameters_.full_model_elements();
        result.train_seconds = train_seconds_;
        result.device_class = in_.device.device_class;
        result.ranks = in_.collective.size();
        result.classes = in_.data.classes;
        result.validation = selected_validation_;
        result.data = in_.data.report;
        if (part.rows() > 0) {
            const ConfusionMatrix confusion = confusion_of(evaluation, part, in_.data.classes.size());
            result.collapsed = confusion.is_collapsed();
            result.test_classes = class_metrics(confusion, in_.data.classes);
            result.test_confusion = confusion.sparse();
        }
        result.test_predictions = {part.line, part.label, std::move(evaluation.predicted_class),
                                   std::move(evaluation.probability)};
    }

    const TrainerInputs& in_;
    CompactVocabulary vocabulary_;
    Parameters parameters_;
    EncoderClassifier model_;
    AdamW optimizer_;
    std::unique_ptr<Reducer> reducer_;
    std::unique_ptr<GradientBuckets> buckets_;

    std::int64_t rows_ = 0;
    std::int64_t steps_per_epoch_ = 0;
    std::int64_t steps_ = 0;
    double tokens_per_epoch_ = 0;

    std::int64_t step_ = 0;  // steps done
    double learning_rate_ = 0;
    double train_seconds_ = 0;
    double recent_loss_ = 0;
    EpochMetrics epoch_metrics_;
    std::int64_t selected_epoch_ = 0;  // 0: none yet
    PartMetrics selected_validation_;
    at::Tensor selected_values_;  // undefined: the current ones

    Clock::time_point interval_start_ = Clock::now();
    double interval_loss_ = 0;
    std::int64_t interval_steps_ = 0;
};

}  // namespace

AttemptOutcome train(const TrainerInputs& inputs) {
    check_configuration(inputs.config, inputs.data);
    return Trainer(inputs).run();
}

}  // namespace orchestrate
