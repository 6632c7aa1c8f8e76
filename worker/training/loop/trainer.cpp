#include "worker/training/loop/trainer.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>

#include <ATen/ATen.h>

#include "worker/training/loop/best_epoch.h"
#include "worker/training/loop/checkpoints.h"
#include "worker/training/loop/divergence.h"
#include "worker/training/loop/evaluation.h"
#include "worker/training/loop/progress_report.h"
#include "worker/training/loop/saved_model.h"
#include "worker/training/loop/training_checks.h"
#include "worker/training/loop/training_plan.h"
#include "worker/training/loop/training_step.h"
#include "worker/training/loop/unit_scores.h"
#include "worker/training/model/model.h"
#include "worker/training/model/pretrained_parameters.h"
#include "worker/training/runtime/all_ranks.h"
#include "worker/training/runtime/deterministic_mode.h"

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
    dimensions.positions = TextWindows::of(in.config.tokenizer).longest(data.report.longest_text_tokens);
    dimensions.token_types = in.pretrained != nullptr ? in.pretrained->config.token_types
                                                      : default_token_types(in.config.model.model_type);
    dimensions.frozen_embeddings = in.config.train.frozen_embeddings;
    dimensions.frozen_layers = in.config.train.frozen_layers;
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
                                         inputs.config.train.precision, inputs.device.kernels)),
          training_step_(inputs, vocabulary_, parameters_, model_),
          divergence_(inputs.data.classes.size(), inputs.config.train.learning_rate, plan_.steps),
          choice_(inputs.config.train, inputs.data.validation.rows() > 0),
          tokens_per_epoch_(static_cast<double>(inputs.data.train.token_ids.size())),
          progress_(inputs.observer, inputs.collective.rank() == 0, plan_,
                    tokens_per_epoch_ / static_cast<double>(plan_.steps_per_epoch)),
          checkpoints_(inputs, plan_.steps, changing_tensors()) {
        const std::uint64_t seed = in_.config.seed.initialization;
        if (in_.pretrained == nullptr) {
            parameters_.initialize(seed);
            return;
        }
        for (const auto& line : fill_from_pretrained(parameters_, *in_.pretrained, in_.data.classes, seed)) {
            if (is_first_rank()) {
                in_.observer.on_log(line);
            }
        }
    }

    AttemptOutcome run() {
        if (is_first_rank()) {
            for (const std::string& note : in_.device.notes) {
                in_.observer.on_log(note);
            }
        }
        training_step_.join_ranks();
        mask_units();
        AttemptOutcome outcome;
        resume();
        while (epochs_done() < plan_.epochs && !state_.stopped_early) {
            if (in_.pause_after_epoch > 0 && epochs_done() >= in_.pause_after_epoch) {
                write_checkpoint(Checkpoint::before_leaving);
                outcome.cause = Cause::paused;
                outcome.message =
                    "after epoch " + std::to_string(epochs_done()) + " of " + std::to_string(plan_.epochs);
                return outcome;
            }
            const std::int64_t epoch = epochs_done() + 1;
            auto cause = train_epoch(epoch, outcome.message);
            if (!cause) {
                cause = finish_epoch(epoch, outcome.message);
            }
            if (cause) {
                outcome.cause = *cause;
                return outcome;
            }
        }
        if (best_weights_.defined()) {
            const at::NoGradGuard no_gradients;
            parameters_.values().copy_(best_weights_);
        }
        report_result(outcome);
        return outcome;
    }

  private:
    bool is_first_rank() const { return in_.collective.rank() == 0; }

    void mask_units() {
        masked_ = choose_masked_units(model_, in_, vocabulary_, training_step_.loss());
        model_.mask(masked_);
        if (is_first_rank()) {
            for (const std::string& line : describe(in_.config.model, masked_)) {
                in_.observer.on_log(line);
            }
        }
    }

    std::int64_t epochs_done() const { return static_cast<std::int64_t>(state_.epochs.size()); }

    // All that training changes, besides state_ and best_weights_.
    std::vector<NamedTensor> changing_tensors() {
        std::vector<NamedTensor> tensors = training_step_.optimizer_state();
        for (const Parameter& parameter : parameters_.list()) {
            tensors.push_back({"model." + parameter.name, parameters_.value(parameter)});
        }
        return tensors;
    }

    void resume() {
        auto found = checkpoints_.resume(parameters_.values(), best_weights_);
        if (!found) {
            return;
        }
        state_ = *std::move(found);
        divergence_.restore(state_.window_loss);
        if (state_.ranks == in_.collective.size()) {
            training_step_.set_pass_rows(state_.pass_rows);
        }
        if (is_first_rank()) {
            for (const EpochMetrics& metrics : state_.epochs) {
                choice_.after_epoch(metrics.epoch, metrics.metrics);
                in_.observer.on_epoch(metrics);
            }
            progress_.at_step(std::min(epochs_done() + 1, plan_.epochs), state_.step);
        }
    }

    enum class Checkpoint { background, before_leaving };

    void write_checkpoint(Checkpoint how) {
        state_.window_loss = divergence_.window_loss();
        state_.pass_rows = training_step_.pass_rows();
        if (how == Checkpoint::background) {
            checkpoints_.begin_write(state_, best_weights_);
        } else {
            checkpoints_.write(state_, best_weights_);
        }
    }

    // Why training ended, if it did before the end of the epoch.
    std::optional<Cause> train_epoch(std::int64_t epoch, std::string& message) {
        epoch_start_ = Clock::now();
        seconds_before_ = state_.seconds_of_epoch;
        const auto order = epoch_order(plan_.rows, in_.config.seed.data_order, epoch);
        const std::int64_t first_step = (epoch - 1) * plan_.steps_per_epoch;
        const std::int64_t end = first_step + plan_.steps_per_epoch;
        for (std::int64_t step = state_.step; step < end; ++step) {
            auto cause = take_in(training_step_.run(plan_.batch(order, step - first_step), step,
                                                    learning_rate_at(in_.config.train, step, plan_.steps)),
                                 epoch, message);
            const bool last = step + 1 == end;
            const bool writes_checkpoint = !last && checkpoints_.due();
            if (!cause && (last || writes_checkpoint)) {
                cause = take_in(training_step_.finish(), epoch, message);
            }
            if (cause) {
                return cause;
            }
            if (writes_checkpoint) {
                write_checkpoint(Checkpoint::background);
            }
        }
        // Evaluation may take longer than a worker is left to leave.
        std::vector<double> stop{is_first_rank() && in_.stop ? 1.0 : 0.0};
        in_.collective.all_reduce_sum(std::span(stop))->wait(kStepDeadline);
        return stop[0] > 0 ? std::optional(stop_at_checkpoint(message)) : std::nullopt;
    }

    Cause stop_at_checkpoint(std::string& message) {
        write_checkpoint(Checkpoint::before_leaving);
        message = "stopped at step " + std::to_string(state_.step) + " of " + std::to_string(plan_.steps);
        return Cause::preempted;
    }

    // Steps of an epoch that have been done. Why training ended, if it did.
    std::optional<Cause> take_in(const std::vector<TrainingStep::Result>& results, std::int64_t epoch,
                                 std::string& message) {
        for (const TrainingStep::Result& result : results) {
            if (result.stop) {
                return stop_at_checkpoint(message);
            }
            ++state_.step;
            if (in_.on_step) {
                in_.on_step(state_.step, result.mean_loss);
            }
            state_.loss_of_epoch += result.mean_loss * result.weight;
            state_.weight_of_epoch += result.weight;
            state_.seconds_of_epoch =
                seconds_before_ + std::chrono::duration<double>(Clock::now() - epoch_start_).count();
            if (auto found = divergence_.after_step(state_.step, result.mean_loss)) {
                message = *std::move(found);
                return Cause::diverged;
            }
            progress_.after_step(epoch, state_.step, result.mean_loss,
                                 state_.step == epoch * plan_.steps_per_epoch);
        }
        return std::nullopt;
    }

    // The part's metrics, on rank 0; empty on the others, and if it has no rows.
    std::vector<MetricValue> measure(MetricPart name, const PreparedPart& part, Evaluation& evaluation) {
        const auto on_advance = [this] {
            if (is_first_rank()) {
                in_.observer.on_advance();
            }
        };
        evaluation = evaluate(model_, part, vocabulary_, TextWindows::of(in_.config.tokenizer),
                              in_.collective, on_advance);
        if (!is_first_rank() || part.rows() == 0 || !std::isfinite(evaluation.loss)) {
            return {};
        }
        const std::size_t classes = in_.data.classes.size();
        auto metrics = metrics_of_predictions(name, confusion_of(evaluation, part, classes));
        std::ranges::copy(metrics_of_probabilities(name, evaluation.loss,
                                                   {evaluation.class_probability, part.label, classes}),
                          std::back_inserter(metrics));
        return metrics;
    }

    // Validation, and whether these weights are the ones to keep. Rank 0 decides, and tells the others. Why
    // training ended, if it did.
    std::optional<Cause> finish_epoch(std::int64_t epoch, std::string& message) {
        EpochMetrics metrics;
        metrics.epoch = epoch;
        metrics.train_loss = state_.loss_of_epoch / state_.weight_of_epoch;
        metrics.learning_rate = learning_rate_at(in_.config.train, state_.step - 1, plan_.steps);
        metrics.seconds = state_.seconds_of_epoch;
        metrics.tokens_per_second = tokens_per_epoch_ / std::max(1e-9, metrics.seconds);
        Evaluation evaluation;
        metrics.metrics = measure(MetricPart::validation, in_.data.validation, evaluation);
        std::vector<double> decisions(3, 0.0);
        if (is_first_rank()) {
            if (auto found = divergence_.after_evaluation(state_.step, evaluation.loss)) {
                message = *std::move(found);
                decisions[2] = 1;
            } else {
                in_.observer.on_epoch(metrics);
                const auto decision = choice_.after_epoch(epoch, metrics.metrics);
                decisions = {decision.keep ? 1.0 : 0.0, decision.stop ? 1.0 : 0.0, 0.0};
            }
        }
        in_.collective.all_reduce_sum(std::span(decisions))->wait(kStepDeadline);
        progress_.begin_interval();
        if (decisions[2] > 0) {
            return Cause::diverged;
        }
        state_.epochs.push_back(metrics);
        state_.train_seconds += state_.seconds_of_epoch;
        state_.loss_of_epoch = state_.weight_of_epoch = state_.seconds_of_epoch = 0;
        state_.stopped_early = decisions[1] > 0;
        if (decisions[0] > 0) {
            if (epoch < plan_.epochs && !state_.stopped_early) {
                best_weights_ = parameters_.values().clone();
            } else {
                best_weights_.reset();
            }
        }
        if (checkpoints_.due()) {
            write_checkpoint(Checkpoint::background);
        }
        return std::nullopt;
    }

    void report_result(AttemptOutcome& outcome) {
        Evaluation evaluation;
        const PreparedPart& part = in_.data.test;
        AttemptResult& result = outcome.result;
        const auto test_metrics = measure(MetricPart::test, part, evaluation);
        if (!is_first_rank()) {
            return;
        }
        if (auto found = divergence_.after_evaluation(state_.step, evaluation.loss)) {
            outcome.cause = Cause::diverged;
            outcome.message = *std::move(found);
            return;
        }
        result.selected_epoch = choice_.kept_epoch();
        result.parameters = parameters_.full_model_elements();
        result.train_seconds = state_.train_seconds;
        result.device_class = in_.device.device_class;
        result.ranks = in_.collective.size();
        result.classes = in_.data.classes;
        result.metrics = choice_.kept_validation();
        std::ranges::copy(test_metrics, std::back_inserter(result.metrics));
        result.data = in_.data.report;
        if (part.rows() > 0) {
            const ConfusionMatrix confusion = confusion_of(evaluation, part, in_.data.classes.size());
            const auto& kept = state_.epochs.at(static_cast<std::size_t>(choice_.kept_epoch() - 1));
            // A loss can be that of guessing by coincidence, or since overconfident predictions cost much.
            const bool guesses =
                !confusion.agrees_beyond_chance() &&
                has_learned_nothing({kept.train_loss, training_step_.loss().of_guessing(), evaluation.loss,
                                     training_step_.loss().label_entropy()});
            result.collapsed = confusion.is_collapsed() || guesses;
            result.test_classes = class_metrics(confusion, in_.data.classes);
            result.test_confusion = confusion.sparse();
        }
        std::vector<std::uint16_t> class_probability(evaluation.class_probability.size());
        std::ranges::transform(evaluation.class_probability, class_probability.begin(),
                               [](float probability) { return fixed_point(probability); });
        result.test_predictions = {
            part.line, part.label, std::move(evaluation.predicted_class), std::move(evaluation.probability),
            pack_probabilities(class_probability, static_cast<std::int64_t>(in_.data.classes.size()))};
        if (!in_.models_folder.empty()) {
            result.model = save_model(*make_system_files(), in_.models_folder,
                                      {in_.config, in_.data, in_.pretrained, parameters_, masked_,
                                       result.selected_epoch * plan_.steps_per_epoch, plan_.steps});
            in_.observer.on_log("saved the model in '" + result.model->folder + "'");
        }
    }

    const TrainerInputs& in_;
    TrainingPlan plan_;
    CompactVocabulary vocabulary_;
    Parameters parameters_;
    EncoderClassifier model_;
    TrainingStep training_step_;
    DivergenceWatch divergence_;
    BestEpoch choice_;
    at::Tensor best_weights_;  // undefined: the current ones
    double tokens_per_epoch_;
    ProgressReport progress_;

    Checkpoints checkpoints_;
    TrainingState state_;
    Clock::time_point epoch_start_;
    double seconds_before_ = 0;  // of this epoch, before epoch_start_
    MaskedUnits masked_;
};

}  // namespace

AttemptOutcome train(const TrainerInputs& inputs) {
    const DeterministicMode mode(inputs.config.train.deterministic && !inputs.device.device.is_cpu());
    if (inputs.device.begin_training) {
        inputs.device.begin_training();
    }
    std::optional<Trainer> trainer;
    run_on_all_ranks(inputs.collective, kStepDeadline, [&] {
        check_configuration(inputs.config, inputs.data);
        if (inputs.pretrained != nullptr) {
            check_pretrained(inputs.config.model, inputs.data, inputs.pretrained->config);
        }
        check_device(inputs.config, inputs.device);
        trainer.emplace(inputs);
    });
    AttemptOutcome outcome = trainer->run();
    if (inputs.collective.rank() == 0 && inputs.device.describe_memory) {
        inputs.observer.on_log(inputs.device.describe_memory());
    }
    return outcome;
}

}  // namespace orchestrate
