// Everything that the fields of a study file say.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <boost/describe.hpp>

#include "common/job/job_config.h"
#include "experiments/fields/cluster_config.h"
#include "experiments/fields/selection.h"

namespace orchestrate {

// How often a job is tried again after an attempt that failed by that cause. Interruptions are no failures.
struct Retries {
    int worker_crashed = 2;
    int out_of_memory = 0;
    int diverged = 0;
    int user_error = 0;
};

// Whose trained weights a study keeps.
enum class SaveModels {
    none,
    best,  // of each stage: its baseline and its best variants, once all its jobs are over
    all,
};
BOOST_DESCRIBE_ENUM(SaveModels, none, best, all)

enum class SearchMethod {
    random,  // draws
    grid,    // every combination
    zip,     // the first values of all lists, then the second ones, ...
};
BOOST_DESCRIBE_ENUM(SearchMethod, random, grid, zip)
// [search].
struct SearchSettings {
    SearchMethod method = SearchMethod::random;
    std::int64_t trials = 10;
    std::uint64_t seed = 0;
    MetricKey select_by;  // its name is empty until load_study has resolved it, unless the file says it
    std::vector<SeedConfig> seeds;  // empty: the study's
    int ranks = 0;                  // 0: the study's
    // Successive halving; resolve_rungs makes `rungs` of min_epochs.
    std::vector<std::int64_t> rungs;
    std::int64_t min_epochs = 0;  // 0: none
    std::int64_t reduction_factor = 3;
    bool deterministic = false;
};

// [command], its parameters and folder aside.
struct CommandSettings {
    std::vector<std::string> run;
    std::vector<std::string> files;
    std::vector<MetricDeclaration> metrics;
    std::vector<std::string> required;  // "test accuracy": what every job has to report
};

// Everything the fields say, [search.space] and [[ablation]] aside.
struct Settings {
    std::string name;
    std::vector<SeedConfig> seeds = {{1, 1}};
    std::vector<SeedConfig> baseline_seeds;  // empty: seeds
    std::int64_t split_repeats = 1;
    int ranks = 1;
    std::int64_t micro_batch_size = 0;
    bool retry_out_of_memory = false;
    double checkpoint_interval_seconds = 60;
    std::int64_t progress_timeout = 600;
    SaveModels save_models = SaveModels::none;
    int priority = 0;
    Retries retries;
    double expected_job_minutes = 0;
    std::int64_t best_models = 3;
    std::string data_source;  // where the data can be had; shown when the file is missing
    JobPaths paths;           // pretrained: of the study, whether or not a variant starts from it
    JobConfig job;
    ClusterConfig cluster;
    SearchSettings search;
    CommandSettings command;

    // Of a job of that width; 0: the study's.
    JobResources resources(int job_ranks = 0) const {
        JobResources found{job_ranks > 0 ? job_ranks : ranks, micro_batch_size, retry_out_of_memory,
                           save_models != SaveModels::none};
        found.metrics = command.required;
        return found;
    }
    std::string pretrained_sha256;                    // of the weights in paths.pretrained; empty: none
    bool pretrained_is_resolved = false;              // paths.pretrained is the study's, and changes no more
    Precision automatic_precision = Precision::fp32;  // what train.precision = "auto" stands for
};

// What the study's jobs report: of a command, what command.metrics declares; else what every training reports.
inline const std::vector<MetricDeclaration>& reported_metrics(const Settings& settings) {
    return settings.command.metrics.empty() ? training_metrics() : settings.command.metrics;
}

// The metric that selections go by, and whose differences tables show, unless the file says otherwise: of a command, the
// first that it declares.
inline std::string default_selection(const Settings& settings) {
    return settings.command.metrics.empty() ? to_string(kDefaultSelectionMetric)
                                            : settings.command.metrics.front().name;
}

}  // namespace orchestrate
