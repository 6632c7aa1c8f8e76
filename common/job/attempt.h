// What an attempt reports: progress while it runs, metrics after each epoch, and one result at its end. These
// structs travel from worker to coordinator and are stored by it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <boost/describe.hpp>

#include "common/base/json.h"
#include "common/metrics/classification_metrics.h"
#include "common/metrics/packed_probabilities.h"

namespace orchestrate {

// Why an attempt ended.
enum class Cause {
    succeeded,
    preempted,
    walltime,
    out_of_memory,
    diverged,
    user_error,
    node_lost,
    worker_crashed,
    cancelled,
    paused,  // at the epoch that JobResources::pause_after_epoch says
};
BOOST_DESCRIBE_ENUM(Cause, succeeded, preempted, walltime, out_of_memory, diverged, user_error, node_lost,
                    worker_crashed, cancelled, paused)

struct TrainingProgress {
    std::int64_t epoch = 0;  // 1-based; 0 while preparing data
    std::int64_t epochs = 0;
    std::int64_t step = 0;  // optimiser steps done
    std::int64_t steps = 0;
    double loss = 0;               // mean over the last report interval
    double tokens_per_second = 0;  // of the last report interval, over all ranks
    std::string phase;             // "preparing", "training", "evaluating"
};
BOOST_DESCRIBE_STRUCT(TrainingProgress, (), (epoch, epochs, step, steps, loss, tokens_per_second, phase))

// What is known after each epoch.
struct EpochMetrics {
    std::int64_t epoch = 0;   // 1-based
    bool of_command = false;  // it has the epoch and metrics alone
    double train_loss = 0;    // mean over the epoch's examples of what was trained on, dropout on
    double learning_rate = 0;
    double seconds = 0;
    double tokens_per_second = 0;
    std::vector<MetricValue> metrics;  // of a training: of the validation part; empty if it has no rows
};
BOOST_DESCRIBE_STRUCT(EpochMetrics, (),
                      (epoch, of_command, train_loss, learning_rate, seconds, tokens_per_second, metrics))

// Predictions of one part, one entry per row in each vector; classes are indices into AttemptResult::classes.
struct Predictions {
    std::vector<std::int64_t> row;  // 1-based line number in the data file
    std::vector<std::int32_t> true_class;
    std::vector<std::int32_t> predicted_class;
    std::vector<float> probability;                // of the predicted class
    PackedProbabilities class_probabilities = {};  // of all classes; empty: not kept
};
BOOST_DESCRIBE_STRUCT(Predictions, (), (row, true_class, predicted_class, probability, class_probabilities))

// Rows of one part that are also found in the training part.
struct Leak {
    std::string part;  // "validation" or "test"
    std::string kind;  // "group", "features", "text"
    std::int64_t rows = 0;
    double share = 0;  // of the part's rows
};
BOOST_DESCRIBE_STRUCT(Leak, (), (part, kind, rows, share))

// Classes of the study that have no row in one part.
struct AbsentClasses {
    std::string part;  // "train", "validation" or "test"
    std::vector<std::string> classes;
    bool operator==(const AbsentClasses&) const = default;
};
BOOST_DESCRIBE_STRUCT(AbsentClasses, (), (part, classes))

struct DataReport {
    std::string data_sha256;
    std::int64_t train_rows = 0;
    std::int64_t validation_rows = 0;
    std::int64_t test_rows = 0;
    std::int64_t vocabulary_size = 0;
    double mean_tokens = 0;  // per text, special tokens included
    std::int64_t longest_text_tokens = 0;
    std::int64_t truncated_texts = 0;
    std::vector<Leak> leaks;
    std::string example_text;                        // of the first training row
    std::vector<AbsentClasses> absent_classes = {};  // parts in which every class has a row are not listed
};
BOOST_DESCRIBE_STRUCT(DataReport, (),
                      (data_sha256, train_rows, validation_rows, test_rows, vocabulary_size, mean_tokens,
                       longest_text_tokens, truncated_texts, leaks, example_text, absent_classes))

// A trained model in a folder as Hugging Face's transformers reads it.
struct SavedModel {
    std::string folder;      // absolute; its last part is the hash
    std::string sha256;      // of config.json and the weights: what model.pretrained knows it by
    std::int64_t bytes = 0;  // of the weights
};
BOOST_DESCRIBE_STRUCT(SavedModel, (), (folder, sha256, bytes))

struct AttemptResult {
    std::int64_t selected_epoch = 0;
    std::int64_t parameters = 0;  // trainable, of the whole model
    double train_seconds = 0;
    double total_seconds = 0;  // of the attempt, data included
    std::int64_t peak_memory_bytes = 0;
    std::string device_class;  // e.g. "cpu avx2", "cuda H100"
    int ranks = 1;
    bool collapsed = false;  // ConfusionMatrix::is_collapsed, or a loss no better than guessing
    std::vector<std::string> classes;
    std::vector<MetricValue>
        metrics;  // of a training: of each part that has rows, at the selected epoch's weights
    std::vector<ClassMetrics> test_classes;
    std::vector<ConfusionCount> test_confusion;  // only counts above 0
    Predictions test_predictions;
    DataReport data;
    std::optional<SavedModel> model;  // if it was to be saved
    bool of_command = false;          // it has times, device, ranks and metrics alone
};
BOOST_DESCRIBE_STRUCT(AttemptResult, (),
                      (selected_epoch, parameters, train_seconds, total_seconds, peak_memory_bytes,
                       device_class, ranks, collapsed, classes, metrics, test_classes, test_confusion,
                       test_predictions, data, model, of_command))

}  // namespace orchestrate
