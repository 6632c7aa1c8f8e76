#include "experiments/fields/fields.h"

#include "experiments/fields/cluster_fields.h"
#include "experiments/fields/command_fields.h"
#include "experiments/fields/data_fields.h"
#include "experiments/fields/field_access.h"
#include "experiments/fields/field_kinds.h"
#include "experiments/fields/model_fields.h"
#include "experiments/fields/pretrained_field.h"
#include "experiments/fields/search_fields.h"

namespace orchestrate {
namespace {

using namespace field_kinds;

constexpr NumberRange kShare{0, 1};
constexpr NumberRange kProbability{0, 1, false, true};
constexpr NumberRange kPositive{0, std::numeric_limits<double>::infinity(), true};
constexpr NumberRange kNotNegative{0};

Field head_width() {
    Field field =
        named_field("model.head_width", "integer or \"none\"", "neurons",
                    "Width of the classification head's hidden layer; `\"none\"`: no hidden layer.");
    field.range = "from 1 to 65536";
    field.schema = any_of({integer_schema(1, 65536), {{"const", "none"}}});
    field.write = [](Settings& settings, const Value& value, Diagnostics& diagnostics) {
        const auto* number = value.as_integer();
        const auto* text = value.as_text();
        if (number && *number >= 1 && *number <= 65536) {
            settings.job.model.head_width = *number;
        } else if (text && *text == "none") {
            settings.job.model.head_width = 0;
        } else {
            report_unfit(value, "model.head_width", "an integer from 1 to 65536, or \"none\"", diagnostics);
        }
    };
    field.show = [](const Settings& settings) {
        const auto width = settings.job.model.head_width;
        return width == 0 ? std::string("none") : fmt::format("{}", width);
    };
    field.phrase = [](const Settings& settings) {
        const auto width = settings.job.model.head_width;
        return width == 0 ? std::string("no hidden layer") : fmt::format("head width {}", width);
    };
    return finished(std::move(field));
}

Field head_activation() {
    Field field = one_of<Activation>("model.head_activation", AT(job.model.head_activation),
                                     "Activation after the head's hidden layer.");
    field.phrase = [](const Settings& settings) -> std::string {
        switch (settings.job.model.head_activation) {
            case Activation::relu:
                return "ReLU";
            case Activation::tanh:
                return "Tanh";
            case Activation::sigmoid:
                return "Sigmoid";
            case Activation::gelu:
                return "GELU";
        }
        return "unknown";
    };
    return field;
}

Field precision() {
    auto choices = enum_names<Precision>();
    choices.insert(choices.begin(), "auto");
    Field field = named_field("train.precision", quoted_alternatives(choices), "",
                              "Of the encoder's matrix products: with bf16 their operands have 8 bits, sums "
                              "and all else stay fp32; on GPUs activations are bf16 too. "
                              "`\"auto\"` is settled when the study is read: bf16 on GPUs of compute "
                              "capability 8.0 or later and on AMD "
                              "CPUs with AVX512_BF16 (1.2 to 1.4 times the speed there), otherwise, and on "
                              "Slurm, fp32. A worker whose "
                              "device lacks bf16 refuses the job.");
    field.default_text = "auto";
    field.schema = {{"enum", choices}};
    field.write = [choices](Settings& settings, const Value& value, Diagnostics& diagnostics) {
        const auto* found = value.as_text();
        if (found && *found == "auto") {
            settings.job.train.precision = settings.automatic_precision;
        } else if (found && enum_from_name<Precision>(*found)) {
            settings.job.train.precision = *enum_from_name<Precision>(*found);
        } else if (found) {
            diagnostics.unknown_name(
                value.where,
                "train.precision cannot be '" + *found + "'; expected " + quoted_alternatives(choices),
                *found, choices);
        } else {
            report_unfit(value, "train.precision", quoted_alternatives(choices), diagnostics);
        }
    };
    field.show = [](const Settings& settings) { return to_string(settings.job.train.precision); };
    return finished(std::move(field));
}

std::vector<Field> study_fields() {
    return {
        text("study.name", AT(name),
             "Name in the database and in `orchestrate table NAME`. Default: the file's name."),
        seeds("study.seeds", AT(seeds), "[1]",
              "One job per variant and seed. A seed sets initial weights, order of examples and dropout; `{ "
              "initialization = 3, data_order = 2 }` crosses seeds of the first with seeds of the others."),
        seeds("study.baseline_seeds", AT(baseline_seeds), "the study's",
              "Of the baseline, in whose seeds other variants find their pairs: seeds that no other variant "
              "has "
              "make only the baseline's own mean surer."),
        integer("study.ranks", "processes", 1, 4096, AT(ranks),
                "Each job is trained data-parallel on so many. Changes speed, not results."),
        integer(
            "study.micro_batch_size", "examples", 0, 1'000'000, AT(micro_batch_size),
            "Of a rank's share of the batch, so many go through the model at a time; 0: all. Changes memory, "
            "not results."),
        flag("study.retry_out_of_memory", AT(retry_out_of_memory),
             "A job that runs out of memory is tried again with half the micro-batch."),
        number("study.checkpoint_interval_seconds", "seconds", kNotNegative, AT(checkpoint_interval_seconds),
               "A running job can go on from a checkpoint at most so old; 0: from every step."),
        integer("study.progress_timeout", "seconds", 1, 30'000'000, AT(progress_timeout),
                "An attempt that has made no step for so long, evaluated no text and prepared no part of the "
                "data, is "
                "ended (`worker_crashed`) and the job begun again by a fresh worker."),
        integer("study.priority", "", -1000, 1000, AT(priority),
                "Beside other studies of the database: jobs of a higher one go first."),
        integer("study.retries.worker_crashed", "", 0, 1000, AT(retries.worker_crashed),
                "So often a job is tried again after its worker has crashed; then it is quarantined."),
        integer("study.retries.out_of_memory", "", 0, 1000, AT(retries.out_of_memory),
                "So often a job is tried again that ran out of memory (on a GPU that others use, say)."),
        integer(
            "study.retries.diverged", "", 0, 1000, AT(retries.diverged),
            "So often a job is tried again that diverged; of use only if `train.deterministic` is false."),
        integer(
            "study.retries.user_error", "", 0, 1000, AT(retries.user_error),
            "So often a job is tried again that could not be trained as it is, such as with a file missing."),
        number("study.expected_job_minutes", "minutes", kNotNegative, AT(expected_job_minutes),
               "What a job takes, as far as you know; 0: not said. `plan` counts with it as long as the "
               "database has no job to go by; a job that takes three times as long is named while it runs."),
        one_of<SaveModels>(
            "study.save_models", AT(save_models),
            "Whose trained model is kept, in `DATABASE.d/models`, as Hugging Face's transformers reads "
            "it (table `models`). `best`: of each stage its baseline and its best variants "
            "(`study.best_models`), with all their seeds; the others are saved too and go once the stage "
            "is over, by `orchestrate collect`. Jobs that had succeeded before are not trained again for "
            "it."),
        integer(
            "study.best_models", "variants", 0, 1'000'000, AT(best_models),
            "With `save_models = \"best\"`: of so many variants of a stage, besides its baseline, the models "
            "are kept. Best by the stage's `select_by`, as a mean over seeds of the validation part."),
    };
}

std::vector<Field> tokenizer_fields() {
    return {
        path("tokenizer.vocabulary", AT(paths.vocabulary),
             "Folder with `vocab.json` and `merges.txt` (RoBERTa) or `vocab.txt` (BERT, uncased). Default: a "
             "byte-level BPE is trained on the training texts."),
        varying(integer("tokenizer.vocabulary_size", "tokens", 261, 1'000'000,
                        AT(job.tokenizer.vocabulary_size),
                        "Of the vocabulary to be trained; not together with `vocabulary`.")),
        varying(integer("tokenizer.max_length", "tokens", 4, 8192, AT(job.tokenizer.max_length),
                        "Of a text, special tokens included; longer ones are cut.")),
        varying(
            integer("tokenizer.window_length", "tokens", 0, 8192, AT(job.tokenizer.window_length),
                    "Longer texts are read through windows of this length, special tokens included; 0: no "
                    "windows.")),
        varying(integer("tokenizer.window_stride", "tokens", 0, 8192, AT(job.tokenizer.window_stride),
                        "From the begin of one window to that of the next.")),
    };
}

std::vector<Field> model_fields() {
    std::vector<Field> all = {
        pretrained_field(),
        one_of<ModelType>("model.model_type", AT(job.model.model_type), "Kind of encoder."),
        varying(
            integer("model.hidden_size", "", 1, 16384, AT(job.model.hidden_size), "Width of the encoder.")),
        varying(with_words(integer("model.num_hidden_layers", "", 1, 256, AT(job.model.num_hidden_layers),
                                   "Encoder layers."),
                           "layers")),
        varying(with_words(integer("model.num_attention_heads", "", 1, 1024,
                                   AT(job.model.num_attention_heads), "Must divide `hidden_size`."),
                           "attention heads")),
        varying(integer("model.intermediate_size", "", 1, 65536, AT(job.model.intermediate_size),
                        "Width of the feed-forward layers.")),
        varying(integer("model.max_position_embeddings", "", 6, 65536, AT(job.model.max_position_embeddings),
                        "At least `tokenizer.max_length`, for RoBERTa 2 more.")),
        varying(with_words(number("model.hidden_dropout_prob", "", kProbability,
                                  AT(job.model.hidden_dropout_prob), "Dropout after embeddings and layers."),
                           "hidden dropout")),
        varying(
            with_words(number("model.attention_probs_dropout_prob", "", kProbability,
                              AT(job.model.attention_probs_dropout_prob), "Dropout on attention weights."),
                       "attention dropout")),
        varying(number("model.layer_norm_eps", "", kPositive, AT(job.model.layer_norm_eps), "")),
        varying(number("model.initializer_range", "", kPositive, AT(job.model.initializer_range),
                       "Standard deviation of the initial weights.")),
        varying(head_width()),
        varying(head_activation()),
        varying(number("model.classifier_dropout", "", kProbability, AT(job.model.classifier_dropout),
                       "Dropout in the classification head.")),
        kept_layers_field(),
        position_embeddings_field(),
    };
    const auto add = [&](std::vector<Field> more) {
        std::move(more.begin(), more.end(), std::back_inserter(all));
    };
    add(unit_mask_fields("model.attention_head_mask", "heads", &ModelConfig::attention_head_mask, true));
    add(unit_mask_fields("model.feed_forward_mask", "neurons", &ModelConfig::feed_forward_mask, true));
    add(unit_mask_fields("model.classifier_mask", "classifier units", &ModelConfig::classifier_mask, false));
    add({
        varying(with_words(one_of<LayerFusion>("model.layer_fusion", AT(job.model.layer_fusion),
                                               "What the classifier reads of the hidden states: the last, "
                                               "several side by side, their mean, or a learned weighting."),
                           "fusion:")),
        fused_layers_field(),
        varying(with_words(one_of<Pooling>("model.pooling", AT(job.model.pooling),
                                           "The first token's state, or the mean over all tokens."),
                           "pooling:")),
        varying(with_words(one_of<WindowPooling>("model.window_pooling", AT(job.model.window_pooling),
                                                 "Of the logits of a text's windows."),
                           "window pooling:")),
    });
    return all;
}

std::vector<Field> train_fields() {
    return {
        varying(
            integer("train.epochs", "", 1, 100'000, AT(job.train.epochs), "Passes over the training part.")),
        varying(integer("train.batch_size", "examples", 1, 1'000'000, AT(job.train.batch_size),
                        "Per optimiser step, over all ranks.")),
        varying(with_words(one_of<Optimizer>("train.optimizer", AT(job.train.optimizer),
                                             "Decay apart from the gradient, or as a part of it."),
                           "optimizer")),
        varying(number("train.learning_rate", "", kPositive, AT(job.train.learning_rate),
                       "Highest of the schedule.")),
        varying(one_of<LearningRateSchedule>("train.learning_rate_schedule",
                                             AT(job.train.learning_rate_schedule), "After the warm-up.")),
        varying(number("train.warmup_ratio", "share of steps", kShare, AT(job.train.warmup_ratio),
                       "Linear rise of the learning rate.")),
        varying(number("train.weight_decay", "", kNotNegative, AT(job.train.weight_decay), "")),
        varying(
            flag("train.decay_biases_and_norms", AT(job.train.decay_biases_and_norms), "Decay them too.")),
        varying(number("train.adam_beta1", "", kProbability, AT(job.train.adam_beta1), "")),
        varying(number("train.adam_beta2", "", kProbability, AT(job.train.adam_beta2), "")),
        varying(number("train.adam_epsilon", "", kPositive, AT(job.train.adam_epsilon), "")),
        varying(number("train.max_grad_norm", "", kNotNegative, AT(job.train.max_grad_norm),
                       "Gradients are clipped to this norm; 0: not.")),
        varying(number("train.label_smoothing", "", kProbability, AT(job.train.label_smoothing),
                       "Share of each label that is spread over all classes.")),
        varying(with_words(one_of<ClassWeighting>("train.class_weights", AT(job.train.class_weights),
                                                  "What an example counts in the loss; `\"balanced\"`: rare "
                                                  "classes more."),
                           "class weights")),
        frozen_embeddings_field(),
        frozen_layers_field(),
        varying(precision()),
        varying(flag("train.deterministic", AT(job.train.deterministic),
                     "The same bits whenever it is run on this kind of device. CPUs always are.")),
        varying(one_of<EpochSelection>("train.epoch_selection", AT(job.train.epoch_selection),
                                       "Which epoch's weights are tested.")),
        varying(integer("train.early_stopping_patience", "epochs", 0, 100'000,
                        AT(job.train.early_stopping_patience),
                        "Training ends after so many without a better one; 0: never.")),
    };
}

}  // namespace

const std::vector<Field>& fields() {
    static const std::vector<Field> kFields = [] {
        std::vector<Field> all;
        for (auto section : {study_fields(), command_fields(), data_fields(), tokenizer_fields(),
                             model_fields(), train_fields(), search_fields(), cluster_fields()}) {
            std::move(section.begin(), section.end(), std::back_inserter(all));
        }
        return all;
    }();
    return kFields;
}

const Field* find_field(const std::string& path) {
    static const std::map<std::string, const Field*> kByPath = [] {
        std::map<std::string, const Field*> by_path;
        for (const auto& field : fields()) {
            by_path.emplace(field.path, &field);
        }
        return by_path;
    }();
    const auto found = kByPath.find(path);
    return found == kByPath.end() ? nullptr : found->second;
}

std::vector<std::string> varying_field_paths() {
    std::vector<std::string> paths;
    for (const auto& field : fields()) {
        if (field.may_vary) {
            paths.push_back(field.path);
        }
    }
    return paths;
}

}  // namespace orchestrate
