// The fields of a study file: one table from which come the parser's validation, the reference in README.md,
// and what a search or an ablation may change. To add an option, add its field to common/job/job_config.h or
// ClusterConfig and one entry to the table in fields.cpp.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "experiments/fields/settings.h"
#include "experiments/syntax/diagnostics.h"
#include "experiments/syntax/value_reading.h"

namespace orchestrate {

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
    std::function<void(Settings&, const Value&, Diagnostics&)> write;
    // The value as a user would write it in a sentence: 0.001, "relu", "none".
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
                        Diagnostics& diagnostics);

// A list of different seeds, how many, or a table of both kinds to be crossed; nothing (reported) if it is none
// of these.
std::vector<SeedConfig> read_seeds(const Value& value, Diagnostics& diagnostics,
                                   const std::string& name = "seeds");

// JSON Schema of what read_seeds reads.
Json seeds_schema();

}  // namespace orchestrate
