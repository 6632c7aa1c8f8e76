// The configuration of one job: everything its numbers depend on, and nothing else. Paths, width, log level
// and place of execution are not here (they are in JobPaths and JobResources). Two jobs with equal JobConfig
// are the same job and are trained once. Every field is resolved: no `auto` is left when a JobConfig exists.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <boost/describe.hpp>

#include "common/base/json.h"
#include "common/job/command_config.h"
#include "common/metrics/training_metrics.h"

namespace orchestrate {

// Raised whenever the arithmetic of training changes, so that old results are not taken for new ones.
inline constexpr int kNumericsVersion = 3;

// How a row's features become a text. Each feature contributes "<name> <value>", joined by ", ".
enum class TextForm {
    rounded,         // raw numbers with `decimals` digits: "energy 0.63"
    standardized,    // z-scores fitted on the training part, with `decimals` digits: "energy -1.2"
    quantile_words,  // words by quantile of the training part: "energy very high" (`quantiles` of them)
};
BOOST_DESCRIBE_ENUM(TextForm, rounded, standardized, quantile_words)

struct TextConfig {
    TextForm form = TextForm::quantile_words;
    std::int64_t quantiles = 32;  // quantile_words: 2..100; up to 7 have adjectives, above that numbers
    std::int64_t decimals = 2;    // rounded, standardized: 0..6
    bool operator==(const TextConfig&) const = default;
};
BOOST_DESCRIBE_STRUCT(TextConfig, (), (form, quantiles, decimals))

// One column that rows are grouped by. With `first_of` set, only the part of the value before that separator
// counts ("a;b" with ";" groups by "a"). Values are compared lower-cased (Unicode) and trimmed.
struct GroupColumn {
    std::string column;
    std::string first_of;
    bool operator==(const GroupColumn&) const = default;
};
BOOST_DESCRIBE_STRUCT(GroupColumn, (), (column, first_of))

struct SplitConfig {
    double train = 0.8;  // fractions of the rows; they add up to 1
    double validation = 0.1;
    double test = 0.1;
    std::vector<GroupColumn> group_by;  // rows equal in all these columns stay in one part; empty: by row
    bool stratify = true;               // keep the share of each class in each part, as far as groups allow
    std::uint64_t seed = 0;
    std::int64_t folds = 0;  // above 0: the test part is one of so many equal parts, each row in exactly one
    std::int64_t fold = 0;   // which of them, from 0
    // Column that names each row's part: train, validation or test. The fields above, groups and the seed of max_rows
    // aside, then have no effect. Unset: rows are assigned by these fields.
    std::optional<std::string> column = std::nullopt;
    bool operator==(const SplitConfig&) const = default;
};
BOOST_DESCRIBE_STRUCT(SplitConfig, (),
                      (train, validation, test, group_by, stratify, seed, folds, fold, column))

// What is done about missing cells of feature columns: empty ones, and in columns of numbers or truth values also
// those that hold NA, NaN, null or the like (is_missing_word in common/data/cell_values.h).
enum class MissingValues {
    refuse,  // the data is refused
    drop,    // rows without a value in one of DataConfig::complete_columns, or without a label, are left out
    word,    // the text has the word "missing" in place of the value
    median,  // of a number: the median of the training part; of truth values and strings: as `word`
};
BOOST_DESCRIBE_ENUM(MissingValues, refuse, drop, word, median)

struct DataConfig {
    std::string sha256;                 // of the uncompressed content of the data file
    std::string label;                  // column that holds the class
    std::vector<std::string> classes;   // the classes used, sorted; empty: all that occur
    std::vector<std::string> features;  // columns written into the text, in this order
    std::int64_t max_rows = 0;          // 0: all; otherwise a seeded sample of that many rows (by split.seed)
    TextConfig text;
    SplitConfig split;
    // Each unset where it makes no difference to this file, so that equal jobs have equal identities.
    std::optional<MissingValues> missing = std::nullopt;  // unset: refuse
    std::optional<std::vector<std::string>> complete_columns =
        std::nullopt;  // of `drop`; unset: the features
    std::optional<std::string> delimiter =
        std::nullopt;  // one character; unset: by the file's name and header
    std::optional<std::string> decimal =
        std::nullopt;  // "." or ","; unset: ".", and other numbers are refused
    bool operator==(const DataConfig&) const = default;
};
BOOST_DESCRIBE_STRUCT(DataConfig, (),
                      (sha256, label, classes, features, max_rows, text, split, missing, complete_columns,
                       delimiter, decimal))

// Which files a vocabulary has: vocab.json and merges.txt (RoBERTa), or vocab.txt (BERT, uncased).
enum class TokenizerKind { byte_level_bpe, word_piece };
BOOST_DESCRIBE_ENUM(TokenizerKind, byte_level_bpe, word_piece)

struct TokenizerConfig {
    TokenizerKind kind = TokenizerKind::byte_level_bpe;
    std::string vocabulary_sha256;       // of the vocabulary's files; empty: train one on the training texts
    std::int64_t vocabulary_size = 512;  // of a vocabulary to be trained
    std::int64_t max_length = 128;  // tokens per text, special tokens included; longer ones are truncated
    // Texts longer than a window are cut into several, whose logits are pooled (ModelConfig::window_pooling).
    std::int64_t window_length = 0;  // tokens per window, its special tokens included; 0: no windows
    std::int64_t window_stride = 0;  // tokens of the text from the begin of one window to that of the next
    bool operator==(const TokenizerConfig&) const = default;
};
BOOST_DESCRIBE_STRUCT(TokenizerConfig, (),
                      (kind, vocabulary_sha256, vocabulary_size, max_length, window_length, window_stride))

enum class Activation { relu, tanh, sigmoid, gelu };
BOOST_DESCRIBE_ENUM(Activation, relu, tanh, sigmoid, gelu)

// The value of Hugging Face's model_type.
enum class ModelType { roberta, bert };
BOOST_DESCRIBE_ENUM(ModelType, roberta, bert)

enum class PositionEmbeddings {
    learned,
    frozen,  // kept at their initial values
    none,    // left out of the sum
};
BOOST_DESCRIBE_ENUM(PositionEmbeddings, learned, frozen, none)

// Which hidden states the classifier reads.
enum class LayerFusion {
    last,           // the last layer's alone
    concatenation,  // those of fused_layers, side by side
    mean,           // their mean
    weighted,       // their sum, weighted by the softmax of learned weights (Peters et al. 2018)
};
BOOST_DESCRIBE_ENUM(LayerFusion, last, concatenation, mean, weighted)

// How the tokens of a text become one vector for the classifier.
enum class Pooling {
    cls,   // the first token's
    mean,  // the mean over all tokens
};
BOOST_DESCRIBE_ENUM(Pooling, cls, mean)

// How the logits of a text's windows become one row of logits.
enum class WindowPooling { mean, max };
BOOST_DESCRIBE_ENUM(WindowPooling, mean, max)

// One attention head, feed-forward neuron or classifier unit; both numbers count from 0. The classifier's
// hidden layer is layer 0.
struct ModelUnit {
    std::int64_t layer = 0;
    std::int64_t unit = 0;
    bool operator==(const ModelUnit&) const = default;
};
BOOST_DESCRIBE_STRUCT(ModelUnit, (), (layer, unit))

// Which units a share is made of.
enum class UnitChoice {
    random,             // drawn by the mask's seed
    lowest_activation,  // lowest mean absolute output over the training part, at the initial weights
    lowest_gradient,    // lowest mean |output * gradient of the loss| there (Michel et al. 2019)
};
BOOST_DESCRIBE_ENUM(UnitChoice, random, lowest_activation, lowest_gradient)

// Units whose output is 0 from the first step to the last evaluation.
struct UnitMask {
    std::vector<ModelUnit> units;  // by name; ascending
    double share = 0;              // of the units of each layer, besides those
    UnitChoice choice = UnitChoice::random;
    std::uint64_t seed = 0;  // of a random choice
    bool operator==(const UnitMask&) const = default;
};
BOOST_DESCRIBE_STRUCT(UnitMask, (), (units, share, choice, seed))

// An encoder with a classification head; the names are those of Hugging Face's config.json.
struct ModelConfig {
    ModelType model_type = ModelType::roberta;
    std::string pretrained_sha256;  // of config.json and the weights that training starts from; empty: none
    std::int64_t hidden_size = 64;
    std::int64_t num_hidden_layers = 2;
    std::int64_t num_attention_heads = 2;
    std::int64_t intermediate_size = 256;
    std::int64_t max_position_embeddings = 514;
    double hidden_dropout_prob = 0.1;
    double attention_probs_dropout_prob = 0.1;
    double layer_norm_eps = 1e-5;
    double initializer_range = 0.02;
    std::int64_t head_width = 64;                   // neurons of the head's hidden layer; 0: no hidden layer
    Activation head_activation = Activation::relu;  // after that hidden layer
    double classifier_dropout = 0.1;

    // Ablations.
    std::vector<std::int64_t> kept_layers;  // encoder layers, from 0, ascending; empty: all
    PositionEmbeddings position_embeddings = PositionEmbeddings::learned;
    UnitMask attention_head_mask;
    UnitMask feed_forward_mask;  // of the intermediate layer's neurons
    UnitMask classifier_mask;    // of the head's hidden layer
    LayerFusion layer_fusion = LayerFusion::last;
    // Hidden states fused, ascending: 0 the embeddings, n the output of the n-th kept layer; empty: those of all
    // layers.
    std::vector<std::int64_t> fused_layers;
    Pooling pooling = Pooling::cls;
    WindowPooling window_pooling = WindowPooling::mean;
    bool operator==(const ModelConfig&) const = default;
};
BOOST_DESCRIBE_STRUCT(ModelConfig, (),
                      (model_type, pretrained_sha256, hidden_size, num_hidden_layers, num_attention_heads,
                       intermediate_size, max_position_embeddings, hidden_dropout_prob,
                       attention_probs_dropout_prob, layer_norm_eps, initializer_range, head_width,
                       head_activation, classifier_dropout, kept_layers, position_embeddings,
                       attention_head_mask, feed_forward_mask, classifier_mask, layer_fusion, fused_layers,
                       pooling, window_pooling))

enum class LearningRateSchedule { constant, linear, cosine };
BOOST_DESCRIBE_ENUM(LearningRateSchedule, constant, linear, cosine)

enum class Precision { fp32, bf16 };
BOOST_DESCRIBE_ENUM(Precision, fp32, bf16)

// Which epoch's weights are evaluated on the test part: the last, or the best by a TrainingMetric of the validation part.
enum class EpochSelection {
    last,
    best_validation_macro_f1,
    best_validation_loss,
    best_validation_accuracy,
    best_validation_macro_precision,
    best_validation_macro_recall,
    best_validation_balanced_accuracy,
    best_validation_weighted_precision,
    best_validation_weighted_recall,
    best_validation_weighted_f1,
    best_validation_micro_precision,
    best_validation_micro_recall,
    best_validation_micro_f1,
    best_validation_f1_of_macro_averages,
    best_validation_matthews_correlation,
    best_validation_cohen_kappa,
    best_validation_top_3_accuracy,
    best_validation_top_5_accuracy,
    best_validation_mean_reciprocal_rank,
    best_validation_macro_roc_auc,
    best_validation_expected_calibration_error,
    best_validation_brier_score,
};
BOOST_DESCRIBE_ENUM(EpochSelection, last, best_validation_macro_f1, best_validation_loss,
                    best_validation_accuracy, best_validation_macro_precision, best_validation_macro_recall,
                    best_validation_balanced_accuracy, best_validation_weighted_precision,
                    best_validation_weighted_recall, best_validation_weighted_f1,
                    best_validation_micro_precision, best_validation_micro_recall, best_validation_micro_f1,
                    best_validation_f1_of_macro_averages, best_validation_matthews_correlation,
                    best_validation_cohen_kappa, best_validation_top_3_accuracy,
                    best_validation_top_5_accuracy, best_validation_mean_reciprocal_rank,
                    best_validation_macro_roc_auc, best_validation_expected_calibration_error,
                    best_validation_brier_score)

// The metric that the best epoch is chosen by; nothing: the last epoch is kept.
std::optional<TrainingMetric> selection_metric(EpochSelection selection);

enum class Optimizer {
    adamw,  // decay apart from the gradient (Loshchilov and Hutter 2019)
    adam,   // decay as a part of the gradient (Kingma and Ba 2015)
};
BOOST_DESCRIBE_ENUM(Optimizer, adamw, adam)

// What an example of each class counts in the loss; the mean is over the sum of the weights.
enum class ClassWeighting {
    equal,
    balanced,  // rows / (classes * rows of the class), of the training part, as scikit-learn's "balanced"
};
BOOST_DESCRIBE_ENUM(ClassWeighting, equal, balanced)

inline constexpr std::int64_t kAllLayers = -1;

struct TrainConfig {
    std::int64_t epochs = 3;
    std::int64_t batch_size = 32;  // examples per optimiser step, over all ranks
    Optimizer optimizer = Optimizer::adamw;
    double learning_rate = 1e-3;  // highest of the schedule
    LearningRateSchedule learning_rate_schedule = LearningRateSchedule::linear;
    double warmup_ratio = 0.06;  // share of the steps
    double weight_decay = 0.01;
    bool decay_biases_and_norms = false;
    double adam_beta1 = 0.9;
    double adam_beta2 = 0.999;
    double adam_epsilon = 1e-8;
    double max_grad_norm = 1.0;  // 0: no clipping
    double label_smoothing = 0;  // 0..1, exclusive
    ClassWeighting class_weights = ClassWeighting::equal;
    bool frozen_embeddings = false;
    std::int64_t frozen_layers = 0;  // so many of the kept encoder layers, from the lowest; or kAllLayers
    Precision precision = Precision::fp32;
    bool deterministic = true;  // the same bits whenever it is run on this kind of device
    EpochSelection epoch_selection = EpochSelection::best_validation_macro_f1;
    std::int64_t early_stopping_patience = 0;  // epochs without a better one before training ends; 0: never
    bool operator==(const TrainConfig&) const = default;
};
BOOST_DESCRIBE_STRUCT(TrainConfig, (),
                      (epochs, batch_size, optimizer, learning_rate, learning_rate_schedule, warmup_ratio,
                       weight_decay, decay_biases_and_norms, adam_beta1, adam_beta2, adam_epsilon,
                       max_grad_norm, label_smoothing, class_weights, frozen_embeddings, frozen_layers,
                       precision, deterministic, epoch_selection, early_stopping_patience))

struct SeedConfig {
    std::uint64_t initialization = 0;  // initial weights
    std::uint64_t data_order = 0;      // order of examples, dropout
    bool operator==(const SeedConfig&) const = default;
};
BOOST_DESCRIBE_STRUCT(SeedConfig, (), (initialization, data_order))

struct JobConfig {
    int numerics_version = kNumericsVersion;
    DataConfig data;
    TokenizerConfig tokenizer;
    ModelConfig model;
    TrainConfig train;
    SeedConfig seed;
    std::optional<CommandConfig>
        command;  // set: the job is this command; all else but the seed is as by default
    bool operator==(const JobConfig&) const = default;
};
BOOST_DESCRIBE_STRUCT(JobConfig, (), (numerics_version, data, tokenizer, model, train, seed, command))

// Where a job finds what its configuration names by hash; absolute.
struct JobPaths {
    std::string data;                 // CSV or TSV, may be gzip
    std::string vocabulary;           // folder with the vocabulary's files; empty: train one
    std::string pretrained;           // folder with config.json and model.safetensors; empty: from scratch
    std::string command_folder = "";  // in which a command runs, and its files lie
    bool operator==(const JobPaths&) const = default;
};
BOOST_DESCRIBE_STRUCT(JobPaths, (), (data, vocabulary, pretrained, command_folder))

// What a job needs to run; no part of its identity.
struct JobResources {
    int ranks = 1;  // width: processes it is trained on, data-parallel
    // Examples of a rank's share of the batch that go through the model at a time; 0: all of them. Changes
    // memory, not results.
    std::int64_t micro_batch_size = 0;
    bool retry_out_of_memory = false;  // again with half the micro-batch, until it fits or is 1
    bool save_model = false;           // the trained weights are kept
    // The attempt ends after that epoch with a checkpoint, as a part of the whole training (Cause::paused); 0: at the end.
    std::int64_t pause_after_epoch = 0;
    std::vector<std::string> metrics = {};  // that a command must report: MetricKeys as "test accuracy"
    bool operator==(const JobResources&) const = default;
};
BOOST_DESCRIBE_STRUCT(JobResources, (),
                      (ranks, micro_batch_size, retry_out_of_memory, save_model, pause_after_epoch, metrics))

// JSON with sorted keys, no white space and shortest round-trip numbers: equal configurations give equal
// bytes. Of a command job, only the command and the seed; of another one, all but the command.
std::string canonical_json(const JobConfig& config);

// Lower-case hexadecimal SHA-256 of canonical_json(config): the job's identity.
std::string job_identity(const JobConfig& config);

}  // namespace orchestrate
