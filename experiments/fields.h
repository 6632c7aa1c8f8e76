// The fields of a study file: one table from which come the parser's validation, the reference in README.md,
// and what a search or an ablation may change. To add an option, add its field to common/job_config.h or
// ClusterConfig and one entry to the table in fields.cpp.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "experiments/mistakes.h"
#include "experiments/study.h"
#include "experiments/value.h"

namespace orchestrate {

enum class SearchMethod {
    random,  // draws
    grid,    // every combination
    zip,     // the first values of all lists, then the second ones, ...
};
BOOST_DESCRIBE_ENUM(SearchMethod, random, grid, zip)
// Whose trained weights are kept.
struct SearchSettings {
    SearchMethod method = SearchMethod::random;
    std::int64_t trials = 10;
    std::uint64_t seed = 0;
    SelectionMetric select_by = SelectionMetric::macro_f1;
    SelectionPart select_part = SelectionPart::validation;
    std::string select_name = "";   // as the file says it; of a command, one of its metrics; empty: not said
    std::vector<SeedConfig> seeds;  // empty: the study's
    int ranks = 0;                  // 0: the study's
    // Successive halving; settle_rungs makes `rungs` of min_epochs.
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
    bool pretrained_is_settled = false;               // paths.pretrained is the study's, and changes no more
    Precision automatic_precision = Precision::fp32;  // what train.precision = "auto" stands for
};

struct Field {
    std::string path;   // "train.epochs"
    std::string words;  // what names of variants call it: "epochs"
    std::string type;   // "integer", "number", "text", "true or false", "list of texts", "one of ..."
    std::string unit;
    std::string range;
    std::string default_text;
    std::string description;
    bool may_vary = false;  // a search or an ablation may change it
    Json schema;            // of its values, as JSON Schema

    // Puts a value into its place, or reports what is wrong with it and leaves the settings alone.
    std::function<void(Settings&, const Value&, Mistakes&)> write;
    // The value as a person would write it in a sentence: 0.001, "relu", "none".
    std::function<std::string(const Settings&)> show;
    // Name of a variant that sets it: "head width 16", "no hidden layer", "Tanh".
    std::function<std::string(const Settings&)> phrase;
};

// All fields, in the order of the reference. Built once; immutable.
const std::vector<Field>& fields();

const Field* find_field(const std::string& path);

// Paths of the fields that a search or an ablation may change.
std::vector<std::string> varying_field_paths();

// The fields that a file or the command line gives, by path, with their values.
using GivenFields = std::map<std::string, Value>;

// Reads the sections of a file into `settings`. Unknown keys and unfit values are reported. `other_sections`
// are the keys at the top, and dotted ones below, that are read elsewhere.
GivenFields read_fields(const Value& root, const std::vector<std::string>& other_sections, Settings& settings,
                        Mistakes& mistakes);

// A list of different seeds, how many, or a table of both kinds to be crossed; nothing (reported) if it is none
// of these.
std::vector<SeedConfig> read_seeds(const Value& value, Mistakes& mistakes, const std::string& name = "seeds");

// JSON Schema of what read_seeds reads.
Json seeds_schema();

// A text or a list of different texts, with their places; empty (reported) if it is neither.
// `list_name`: what the whole is called in messages, if not as one of its names is.
std::vector<Value> read_names(const Value& value, const std::string& what, Mistakes& mistakes,
                              const std::string& list_name = {});

// Whether a name that is shown has no blanks at its ends, where nobody sees them; reported if it has. `what` it is the
// name of: "study.name".
bool check_shown_name(const std::string& name, const SourceSpan& where, const std::string& what,
                      Mistakes& mistakes);

// Reports "expected ..., found ..." at the value.
void report_unfit(const Value& value, const std::string& name, const std::string& expected,
                  Mistakes& mistakes);

// The fields as a Markdown table per section, for README.md.
std::string field_reference();

}  // namespace orchestrate
