// The configuration of one job: everything its numbers depend on, and nothing else. Paths, width, log level
// and place of execution are not here (they are in JobPaths and JobResources). Two jobs with equal JobConfig
// are the same job and are trained once. Every field is resolved: no `auto` is left when a JobConfig exists.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <boost/describe.hpp>

#include "common/json.h"

namespace orchestrate {

// Raised whenever the arithmetic of training changes, so that old results are not taken for new ones.
inline constexpr int kNumericsVersion = 1;

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
    bool operator==(const SplitConfig&) const = default;
};
BOOST_DESCRIBE_STRUCT(SplitConfig, (), (train, validation, test, group_by, stratify, seed))

struct DataConfig {
    std::string sha256;                 // of the uncompressed content of the data file
    std::string label;                  // column that holds the class
    std::vector<std::string> classes;   // the classes used, sorted; empty: all that occur
    std::vector<std::string> features;  // columns written into the text, in this order
    std::int64_t max_rows = 0;          // 0: all; otherwise a seeded sample of that many rows (by split.seed)
    TextConfig text;
    SplitConfig split;
    bool operator==(const DataConfig&) const = default;
};
BOOST_DESCRIBE_STRUCT(DataConfig, (), (sha256, label, classes, features, max_rows, text, split))

struct TokenizerConfig {
    std::string vocabulary_sha256;  // of vocab.json and merges.txt; empty: train one on the training texts
    std::int64_t vocabulary_size = 512;  // of a vocabulary to be trained
    std::int64_t max_length = 128;  // tokens per text, special tokens included; longer ones are truncated
    bool operator==(const TokenizerConfig&) const = default;
};
BOOST_DESCRIBE_STRUCT(TokenizerConfig, (), (vocabulary_sha256, vocabulary_size, max_length))

enum class Activation { relu, tanh, sigmoid, gelu };
BOOST_DESCRIBE_ENUM(Activation, relu, tanh, sigmoid, gelu)

// A RoBERTa encoder with a classification head; the names are those of Hugging Face's config.json.
struct ModelConfig {
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
    bool operator==(const ModelConfig&) const = default;
};
BOOST_DESCRIBE_STRUCT(ModelConfig, (),
                      (hidden_size, num_hidden_layers, num_attention_heads, intermediate_size,
                       max_position_embeddings, hidden_dropout_prob, attention_probs_dropout_prob,
                       layer_norm_eps, initializer_range, head_width, head_activation, classifier_dropout))

enum class LearningRateSchedule { constant, linear, cosine };
BOOST_DESCRIBE_ENUM(LearningRateSchedule, constant, linear, cosine)

enum class Precision { fp32, bf16 };
BOOST_DESCRIBE_ENUM(Precision, fp32, bf16)

// Which epoch's weights are evaluated on the test part.
enum class EpochSelection { last, best_validation_macro_f1, best_validation_loss };
BOOST_DESCRIBE_ENUM(EpochSelection, last, best_validation_macro_f1, best_validation_loss)

struct TrainConfig {
    std::int64_t epochs = 3;
    std::int64_t batch_size = 32;  // examples per optimiser step, over all ranks
    double learning_rate = 1e-3;   // highest of the schedule
    LearningRateSchedule learning_rate_schedule = LearningRateSchedule::linear;
    double warmup_ratio = 0.06;  // share of the steps
    double weight_decay = 0.01;  // not on biases and layer norms
    double adam_beta1 = 0.9;
    double adam_beta2 = 0.999;
    double adam_epsilon = 1e-8;
    double max_grad_norm = 1.0;  // 0: no clipping
    Precision precision = Precision::fp32;
    EpochSelection epoch_selection = EpochSelection::best_validation_macro_f1;
    bool operator==(const TrainConfig&) const = default;
};
BOOST_DESCRIBE_STRUCT(TrainConfig, (),
                      (epochs, batch_size, learning_rate, learning_rate_schedule, warmup_ratio, weight_decay,
                       adam_beta1, adam_beta2, adam_epsilon, max_grad_norm, precision, epoch_selection))

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
    bool operator==(const JobConfig&) const = default;
};
BOOST_DESCRIBE_STRUCT(JobConfig, (), (numerics_version, data, tokenizer, model, train, seed))

// Where a job finds what its configuration names by hash; absolute.
struct JobPaths {
    std::string data;        // CSV or TSV, may be gzip
    std::string vocabulary;  // folder with vocab.json and merges.txt; empty: train one
    bool operator==(const JobPaths&) const = default;
};
BOOST_DESCRIBE_STRUCT(JobPaths, (), (data, vocabulary))

// What a job needs to run; no part of its identity.
struct JobResources {
    int ranks = 1;  // width: processes it is trained on, data-parallel
    bool operator==(const JobResources&) const = default;
};
BOOST_DESCRIBE_STRUCT(JobResources, (), (ranks))

// JSON with sorted keys, no white space and shortest round-trip numbers: equal configurations give equal
// bytes.
std::string canonical_json(const JobConfig& config);

// Lower-case hexadecimal SHA-256 of canonical_json(config): the job's identity.
std::string job_identity(const JobConfig& config);

}  // namespace orchestrate
