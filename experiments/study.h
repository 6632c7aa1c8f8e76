// The study language: one TOML file becomes a validated Study, a Study becomes stages of variants, and
// variants with seeds become jobs. Pure code: no SQLite, no sockets, no LibTorch.
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

#include "common/job_config.h"

namespace orchestrate {

// One mistake in a study file.
struct Diagnostic {
    std::string file;
    std::int64_t line = 0;  // 1-based; 0 for what was given on the command line
    std::int64_t column = 0;
    std::string message;     // what was found, what was expected
    std::string suggestion;  // nearest valid name; may be empty
    bool is_warning = false;
    std::string source_line;  // the line it stands on, for rendering; may be empty
    std::int64_t length = 1;  // characters of that line to underline, from `column` on
};

// "file:line:column: error: message; did you mean 'x'?" followed by the source line, underlined. No final
// newline.
std::string render(const Diagnostic& diagnostic);

// Thrown with all mistakes of a file at once.
class StudyError : public std::runtime_error {
  public:
    explicit StudyError(std::vector<Diagnostic> diagnostics);
    const std::vector<Diagnostic>& diagnostics() const { return diagnostics_; }

  private:
    std::vector<Diagnostic> diagnostics_;
};

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
    std::string change;  // what differs from the baseline, for people: "data.features without energy"
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

// How a stage picks the best variant of an earlier one: highest mean over seeds of this validation metric;
// ties are broken by order.
enum class SelectionMetric { accuracy, macro_f1, macro_precision, macro_recall };
BOOST_DESCRIBE_ENUM(SelectionMetric, accuracy, macro_f1, macro_precision, macro_recall)

// The part of the data that a choice looks at.
enum class SelectionPart { validation, test };
BOOST_DESCRIBE_ENUM(SelectionPart, validation, test)

// Which rows of an earlier stage a stage goes on with.
enum class RowRule {
    top,          // those with the largest differences to the baseline, up or down; of equal ones the first
    significant,  // those whose difference a paired t-test finds at 5 %, corrected for their number (Holm 1979)
};
BOOST_DESCRIBE_ENUM(RowRule, top, significant)

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
    SelectionMetric select_by = SelectionMetric::macro_f1;
    SelectionPart select_part = SelectionPart::validation;
    std::string
        rows_stage;  // name of the earlier stage whose rows are crossed with this one's ablations; empty: none
    RowRule rows_rule = RowRule::top;
    std::size_t most_rows = 0;  // of top
    SelectionMetric rows_by = SelectionMetric::macro_f1;
    SelectionPart rows_part = SelectionPart::validation;
    // Of a command study: what its jobs report, and in place of select_by and rows_by the names of two of these.
    std::vector<MetricDeclaration> metrics = {};
    std::string select_name = "";
    std::string rows_name = "";

    // The goal of a metric of that name; max if there is none.
    MetricGoal goal_of(const std::string& metric) const;

    // "validation macro_f1", "validation loss": what the baseline and the rows are chosen by.
    std::string selection() const;
    std::string rows_selection() const;
    Halving halving;  // of a search
};

// How an ensemble makes one prediction of its members'.
enum class EnsembleRule {
    mean,  // the class with the highest mean probability; of equal ones the first
    vote,  // the class with the most votes; of equal ones that whose votes have the highest sum of probabilities, then
    // the first
};
BOOST_DESCRIBE_ENUM(EnsembleRule, mean, vote)

struct EnsembleMember {
    std::string stage;
    std::string variant;
};

// A row of a stage's table that is not trained, but computed from the test predictions of other variants.
struct Ensemble {
    std::string name;
    std::string change;  // what it is, for people: "mean of trial 1 and trial 3"
    std::string stage;   // in whose table it stands
    std::vector<EnsembleMember> members;
    std::size_t best = 0;  // above 0: the members are so many of `best_stage`, as best_variants chooses
    std::string best_stage;
    SelectionMetric select_by = SelectionMetric::macro_f1;
    SelectionPart select_part = SelectionPart::validation;
    EnsembleRule combine = EnsembleRule::mean;
    bool across_seeds = false;  // all seeds together make one prediction; else each seed makes its own
};

enum class ClusterKind { local, slurm };
BOOST_DESCRIBE_ENUM(ClusterKind, local, slurm)

enum class DeviceChoice { automatic, cpu, cuda };
BOOST_DESCRIBE_ENUM(DeviceChoice, automatic, cpu, cuda)

// What a rank gets on Slurm if the study does not say it.
inline constexpr std::int64_t kSlurmMemoryMib = 2048;

// How often a job is tried again after an attempt that failed by that cause. Interruptions are no failures.
struct Retries {
    int worker_crashed = 2;
    int out_of_memory = 0;
    int diverged = 0;
    int user_error = 0;
};

// [cluster]: where workers run. No part of any job's identity.
struct ClusterConfig {
    ClusterKind kind = ClusterKind::local;
    DeviceChoice device = DeviceChoice::automatic;
    int slots = 0;             // ranks that run at a time, per node; 0: one per CPU core or GPU
    int threads_per_rank = 0;  // 0: cores divided by slots
    int jobs_per_gpu = 1;      // one-rank workers that share a GPU
    int nodes = 1;             // slurm: nodes of one pilot
    std::string partition;     // slurm; empty: the cluster's default
    std::string account;
    std::string time_limit = "01:00:00";      // slurm, of one pilot
    std::int64_t memory_mib_per_rank = 0;     // 0: not said; on Slurm kSlurmMemoryMib
    std::string shared_folder;                // slurm: a folder all nodes see; default: beside the database
    std::vector<std::string> sbatch_options;  // passed on as they are
    std::string interface;          // of the traffic among the ranks of a worker, which nobody authenticates
    std::string mpi = "automatic";  // value of srun --mpi; automatic: pmix, or pmi2 for MPICH
};

// Whose trained weights a study keeps.
enum class SaveModels {
    none,
    best,  // of each stage: its baseline and its best variants, once all its jobs are over
    all,
};
BOOST_DESCRIBE_ENUM(SaveModels, none, best, all)

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

// Parses and checks a study file; relative paths are relative to the file, except those from `overrides`
// ("train.epochs=3", "data.path=x.csv"), which are relative to the current folder. Reads the data file's
// content to check columns, classes and rows and to hash it. Throws StudyError with every mistake at once.
Study load_study(const std::filesystem::path& file, const std::vector<std::string>& overrides);

// The best of a stage's variants given each variant's mean validation metric, in order of the variants;
// nothing if no variant has a value.
std::optional<std::size_t> best_variant(const std::vector<std::optional<double>>& mean_metric,
                                        MetricGoal goal = MetricGoal::max);

// The same for the best `count`, the best first; of equal ones the earlier first. Fewer if fewer have a value.
std::vector<std::size_t> best_variants(const std::vector<std::optional<double>>& mean_metric,
                                       std::size_t count);

// "plan": stages, rows and jobs as a table for a terminal of 80 columns.
std::string render_plan(const Study& study);

// Rows of the data file that the study uses, before `max_rows`.
std::int64_t data_rows(const Study& study);

// Classes of the data that the study uses.
std::int64_t data_classes(const Study& study);

// "plan --tree": stages, what each [[ablation]] makes, and its variants.
std::string render_tree(const Study& study);

// "explain": type, unit, range, default and meaning of a field, or the fields of a section. Throws UserError with
// the nearest name if there is none.
std::string explain_field(const std::string& name);

// "schema": a JSON Schema (draft 2020-12) of study files, so that editors can complete and check them.
std::string study_schema();

}  // namespace orchestrate
