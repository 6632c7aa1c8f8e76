#include "worker/training/trainer.h"

#include <algorithm>
#include <optional>

#include <ATen/ATen.h>

#include "worker/training/all_ranks.h"
#include "worker/training/deterministic_mode.h"
#include "worker/training/divergence.h"
#include "worker/training/epoch_choice.h"
#include "worker/training/evaluation.h"
#include "worker/training/model.h"
#include "worker/training/pretrained_parameters.h"
#include "worker/training/progress_report.h"
#include "worker/training/training_checks.h"
#include "worker/training/training_plan.h"
#include "worker/training/training_step.h"

namespace orchestrate {

namespace {

using Clock = std::chrono::steady_clock;

ModelDimensions dimensions_of(const TrainerInputs& in, const CompactVocabulary& vocabulary) {
    const PreparedData& data = in.data;
    ModelDimensions dimensions;
    dimensions.config = in.config.model;
    dimensions.classes = static_cast<std::int64_t>(data.classes.size());
    dimensions.vocabulary_size =
        in.pretrained != nullptr ? in.pretrained->config.vocabulary_size : data.vocabulary_size;
    dimensions.vocabulary_rows = vocabulary.original_id;
    dimensions.pad_token = data.special.pad;
    dimensions.positions = data.report.longest_text_tokens;
    dimensions.token_types = in.pretrained != nullptr ? in.pretrained->config.token_types
                                                      : default_token_types(in.config.model.model_type);
    return dimensions;
}

class Trainer {
  public:
    explicit Trainer(const TrainerInputs& inputs)
        : in_(inputs),
          plan_(inputs.config.train, inputs.data.train.rows()),
          vocabulary_(CompactVocabulary::of(inputs.data)),
          parameters_(dimensions_of(inputs, vocabulary_), inputs.device.device),
          model_(parameters_, Operations(inputs.device.device, inputs.use_libtorch_kernels,
                                         inputs.config.train.precision)),
          training_step_(inputs, vocabulary_, parameters_, model_),
          divergence_(inputs.data.classes.size(), inputs.config.train.learning_rate, plan_.steps),
          choice_(inputs.config.train, inputs.data.validation.rows() > 0),
          tokens_per_epoch_(static_cast<double>(inputs.data.train.token_ids.size())),
          progress_(inputs.observer, inputs.collective.rank() == 0, plan_,
                    tokens_per_epoch_ / static_cast<double>(plan_.steps_per_epoch)) {
        parameters_.initialize(in_.config.seed.initialization);
        if (in_.pretrained != nullptr) {
            for (const auto& line : fill_from_pretrained(parameters_, *in_.pretrained, in_.data.classes)) {
                if (is_first_rank()) {
                    in_.observer.on_log(line);
                }
            }
        }
    }

    AttemptOutcome run() {
        training_step_.join_ranks();
        AttemptOutcome outcome;
        for (std::int64_t epoch = 1; epoch <= plan_.epochs; ++epoch) {
            if (const auto cause = train_epoch(epoch, outcome.message)) {
                outcome.cause = *cause;
                return outcome;
            }
            const EpochEnd end = finish_epoch(epoch, outcome.message);
            if (end == EpochEnd::diverged) {
                outcome.cause = Cause::diverged;
                return outcome;
            }
            if (end == EpochEnd::stop) {
                break;
            }
        }
        if (kept_values_.defined()) {
            const at::NoGradGuard no_gradients;
            parameters_.values().copy_(kept_values_);
        }
        report_result(outcome);
        return outcome;
    }

  private:
    bool is_first_rank() const { return in_.collective.rank() == 0; }

    // Why training ended, if it did before the end of the epoch.
    std::optional<Cause> train_epoch(std::int64_t epoch, std::string& message) {
        const auto start = Clock::now();
        const auto order = epoch_order(plan_.rows, in_.config.seed.data_order, epoch);
        double loss_of_epoch = 0;  // weighted sum over its batches
        double weight_of_epoch = 0;
        double learning_rate = 0;
        for (std::int64_t i = 0; i < plan_.steps_per_epoch; ++i) {
            const auto batch = plan_.batch(order, i);
            learning_rate = learning_rate_at(in_.config.train, step_, plan_.steps);
            const TrainingStep::Result result = training_step_.run(batch, step_, learning_rate);
            if (result.stop) {
                return Cause::preempted;
            }
            ++step_;
            if (in_.on_step) {
                in_.on_step(step_, result.mean_loss);
            }
            loss_of_epoch += result.mean_loss * result.weight;
            weight_of_epoch += result.weight;
            if (auto found = divergence_.after_step(step_, result.mean_loss)) {
                message = *std::move(found);
                return Cause::diverged;
            }
            progress_.after_step(epoch, step_, result.mean_loss, i + 1 == plan_.steps_per_epoch);
        }
        epoch_metrics_ = {};
        epoch_metrics_.epoch = epoch;
        epoch_metrics_.train_loss = loss_of_epoch / weight_of_epoch;
        epoch_metrics_.learning_rate = learning_rate;
        epoch_metrics_.seconds = std::chrono::duration<double>(Clock::now() - start).count();
        epoch_metrics_.tokens_per_second = tokens_per_epoch_ / std::max(1e-9, epoch_metrics_.seconds);
        train_seconds_ += epoch_metrics_.seconds;
        return std::nullopt;
    }

    PartMetrics measure(const PreparedPart& part, Evaluation& evaluation) {
        evaluation = evaluate(model_, part, vocabulary_, in_.collective, [this] {
            if (is_first_rank()) {
                in_.observer.on_advance();
            }
        });
        if (!is_first_rank() || part.rows() == 0) {
            return {};
        }
        PartMetrics metrics =
            part_metrics(confusion_of(evaluation, part, in_.data.classes.size()), evaluation.loss);
        metrics.rows = part.rows();
        return metrics;
    }

    enum class EpochEnd { go_on, stop, diverged };

    // Validation, and whether these weights are the ones to keep. Rank 0 decides, and tells the others.
    EpochEnd finish_epoch(std::int64_t epoch, std::string& message) {
        Evaluation evaluation;
        epoch_metrics_.validation = measure(in_.data.validation, evaluation);
        std::vector<double> decisions(3, 0.0);
        if (is_first_rank()) {
            if (auto found = divergence_.after_evaluation(step_, evaluation.loss)) {
                message = *std::move(found);
                decisions[2] = 1;
            } else {
                in_.observer.on_epoch(epoch_metrics_);
                const auto decision = choice_.after_epoch(epoch, epoch_metrics_.validation);
                decisions = {decision.keep ? 1.0 : 0.0, decision.stop ? 1.0 : 0.0, 0.0};
            }
        }
        in_.collective.all_reduce_sum(std::span(decisions))->wait(kStepDeadline);
        progress_.begin_interval();
        if (decisions[2] > 0) {
            return EpochEnd::diverged;
        }
        const EpochEnd end = decisions[1] > 0 ? EpochEnd::stop : EpochEnd::go_on;
        if (decisions[0] > 0) {
            train_loss_of_kept_ = epoch_metrics_.train_loss;
            if (epoch < plan_.epochs && end == EpochEnd::go_on) {
                kept_values_ = parameters_.values().clone();
            } else {
                kept_values_.reset();
            }
        }
        return end;
    }

    void report_result(AttemptOutcome& outcome) {
        Evaluation evaluation;
        const PreparedPart& part = in_.data.test;
        AttemptResult& result = outcome.result;
        result.test = measure(part, evaluation);
        if (!is_first_rank()) {
            return;
        }
        if (auto found = divergence_.after_evaluation(step_, evaluation.loss)) {
            outcome.cause = Cause::diverged;
            outcome.message = *std::move(found);
            return;
        }
        result.selected_epoch = choice_.kept_epoch();
        result.parameters = parameters_.full_model_elements();
        result.train_seconds = train_seconds_;
        result.device_class = in_.device.device_class;
        result.ranks = in_.collective.size();
        result.classes = in_.data.classes;
        result.validation = choice_.kept_validation();
        result.data = in_.data.report;
        if (part.rows() > 0) {
            const ConfusionMatrix confusion = confusion_of(evaluation, part, in_.data.classes.size());
            result.collapsed = confusion.is_collapsed() ||
                               (is_no_better_than(training_step_.loss().of_guessing(), train_loss_of_kept_) &&
                                is_no_better_than(training_step_.loss().label_entropy(), result.test.loss));
            result.test_classes = class_metrics(confusion, in_.data.classes);
            result.test_confusion = confusion.sparse();
        }
        result.test_predictions = {part.line, part.label, std::move(evaluation.predicted_class),
                                   std::move(evaluation.probability)};
    }

    const TrainerInputs& in_;
    TrainingPlan plan_;
    CompactVocabulary vocabulary_;
    Parameters parameters_;
    EncoderClassifier model_;
    TrainingStep training_step_;
    DivergenceWatch divergence_;
    EpochChoice choice_;
    at::Tensor kept_values_;  // undefined: the current ones
    double tokens_per_epoch_;
    ProgressReport progress_;

    std::int64_t step_ = 0;  // steps done
    double train_seconds_ = 0;
    double train_loss_of_kept_ = 0;
    EpochMetrics epoch_metrics_;
};

}  // namespace

AttemptOutcome train(const TrainerInputs& inputs) {
    const DeterministicMode mode(inputs.config.train.deterministic && !inputs.device.device.is_cpu());
    std::optional<Trainer> trainer;
    run_on_all_ranks(inputs.collective, kStepDeadline, [&] {
        check_configuration(inputs.config, inputs.data);
        if (inputs.pretrained != nullptr) {
            check_pretrained(inputs.config.model, inputs.data, inputs.pretrained->config);
        }
        check_device(inputs.config, inputs.device);
        trainer.emplace(inputs);
    });
    return trainer->run();
}

}  // namespace orchestrate
