// A checked study: its stages, their variants, the jobs of a variant.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/job/job_config.h"
#include "experiments/fields/settings.h"
#include "experiments/syntax/diagnostic.h"

namespace orchestrate {

// One repetition of a variant.
struct Run {
    SeedConfig seed;
    std::int64_t fold = 0;    // of data.split.folds, from 0
    std::int64_t repeat = 0;  // of the split; added to data.split.seed
    // Equal in two variants of a stage exactly where the runs have equal seeds, folds and repeats, and so can be
    // compared as a pair.
    int pair = 0;
    bool operator==(const Run&) const = default;
};

// One row of a comparison table: a full configuration without its seeds (config.seed is default) and folds.
struct Variant {
    std::string name;    // unique in its study: "baseline", "without energy", "head width 16", "trial 3"
    std::string change;  // what differs from the baseline, for users: "data.features without energy"
    JobConfig config;
    JobResources resources;
    std::vector<Run> runs;  // one job each
    bool is_baseline = false;
    int entry = -1;  // which [[ablation]] of the file makes it, from 0; -1: none
};

// The configuration of a variant's job.
JobConfig job_of(const Variant& variant, const Run& run);

// "seed 2", "initial weights 1, data order 3, fold 2 of 5, split 1": what tells a variant's jobs apart.
std::string describe(const Variant& variant, const Run& run);

enum class StageKind { search, ablation };
BOOST_DESCRIBE_ENUM(StageKind, search, ablation)

// Which rows of an earlier stage a stage goes on with.
enum class VariantFilter {
    top,          // those with the largest differences to the baseline, up or down; of equal ones the first
    significant,  // those whose difference a paired t-test finds at 5 %, corrected for their number (Holm 1979)
};
BOOST_DESCRIBE_ENUM(VariantFilter, top, significant)

// Successive halving of a search: trials are compared after so many epochs, and only the best go on.
struct Halving {
    std::vector<std::int64_t>
        rungs;  // epochs, ascending, below those of the whole training; empty: all go on
    std::int64_t reduction_factor = 3;  // 1 / so many of a rung's trials go on
    bool deterministic = false;         // by rungs that are complete; else as soon as it can be said
};

struct Stage {
    std::string name;
    StageKind kind = StageKind::ablation;
    std::string baseline_stage;  // name of the earlier stage whose best variant is the baseline; empty: the
                                 // file's base
    // By whose mean over seeds the best variant of `baseline_stage` is chosen.
    MetricKey select_by = key_of(MetricPart::validation, kDefaultSelectionMetric);
    std::string
        rows_stage;  // name of the earlier stage whose rows are crossed with this one's ablations; empty: none
    VariantFilter rows_rule = VariantFilter::top;
    std::size_t max_rows = 0;  // of top
    MetricKey rows_by = key_of(MetricPart::validation, kDefaultSelectionMetric);
    // What its jobs report, in the order of its table, and the one whose difference to the baseline the table shows.
    std::vector<MetricDeclaration> metrics = training_metrics();
    std::string primary_metric = to_string(kDefaultSelectionMetric);

    // The goal of a metric of that name; max if there is none.
    MetricGoal goal_of(const std::string& metric) const;
    Halving halving;  // of a search
};

struct EnsembleMember {
    std::string stage;
    std::string variant;
};

// A row of a stage's table that is not trained, but computed from the test predictions of other variants.
struct Ensemble {
    std::string name;
    std::string change;  // what it is, for users: "mean of trial 1 and trial 3"
    std::string stage;   // in whose table it stands
    std::vector<EnsembleMember> members;
    std::size_t best = 0;  // above 0: the members are so many of `best_stage`, as best_variants chooses
    std::string best_stage;
    MetricKey select_by;
    EnsembleRule combine = EnsembleRule::mean;
    bool across_seeds = false;  // all seeds together make one prediction; else each seed makes its own
};

struct Study {
    bool is_of_command() const { return base.command.has_value(); }

    std::string name;
    std::filesystem::path file;
    std::string
        toml;  // the text it was parsed from; canonical_toml if overrides, includes or variables apply
    // The study as one file: nothing included, variables and overrides in their places, paths absolute.
    std::string canonical_toml;
    JobPaths paths;
    JobConfig base;
    ClusterConfig cluster;
    double checkpoint_interval_seconds = 60;      // of a running job; 0: every step
    std::int64_t progress_timeout_seconds = 600;  // an attempt without progress for so long is ended
    int priority = 0;  // of its jobs beside those of other studies: higher ones go first
    Retries retries;
    double expected_job_minutes = 0;  // 0: not said
    SaveModels save_models = SaveModels::none;
    std::int64_t best_models = 3;  // variants of a stage, besides its baseline; with SaveModels::best
    std::vector<Stage> stages;
    std::vector<Ensemble> ensembles;
    std::vector<Diagnostic> warnings;

    // Variants of a stage. `baseline` is the configuration that the stage starts from: `base`, or the best
    // variant of `baseline_stage`. The first variant of an ablation stage is its baseline. Pure and
    // repeatable. Throws StudyError if the change cannot be applied to that baseline.
    // Of a stage that goes on with an earlier one's rows, the first that it could be stand for those chosen.
    std::vector<Variant> expand(const Stage& stage, const JobConfig& baseline) const;

    // The same with the chosen rows of `rows_stage`: they come first, and each is crossed with the stage's ablations.
    // `abandoned`: once another thread sets it, what is returned is incomplete and of no use; null: nobody does.
    std::vector<Variant> expand(const Stage& stage, const JobConfig& baseline,
                                const std::vector<Variant>& rows,
                                const std::atomic<bool>* abandoned = nullptr) const;

    // What expand needs of the file; opaque outside experiments/.
    struct Plan;
    std::shared_ptr<const Plan> plan;
};

// The best of a stage's variants given each variant's mean validation metric, in order of the variants;
// nothing if no variant has a value.
std::optional<std::size_t> best_variant(const std::vector<std::optional<double>>& mean_metric,
                                        MetricGoal goal = MetricGoal::max);

// The same for the best `count`, the best first; of equal ones the earlier first. Fewer if fewer have a value.
std::vector<std::size_t> best_variants(const std::vector<std::optional<double>>& mean_metric,
                                       std::size_t count, MetricGoal goal = MetricGoal::max);

// Rows of the data file that the study uses, before `max_rows`.
std::int64_t data_rows(const Study& study);

// Classes of the data that the study uses.
std::int64_t data_classes(const Study& study);

}  // namespace orchestrate
