// What differs between two studies, or between a study's file and what of it is in the database: variant by
// variant, and why a job's identity is another one.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "common/base/json.h"
#include "experiments/expansion/study.h"
#include "experiments/plan.h"

namespace orchestrate {

// One row of a study, from a file or from the database.
struct VariantRecord {
    std::string stage;
    std::string name;
    Json config;                          // JobConfig of the variant
    std::vector<std::string> identities;  // of its jobs, in order; an ensemble has none
    bool is_ensemble = false;             // then `config` says what it is
};

struct StudyRecord {
    std::string name;
    std::vector<VariantRecord> variants;
    std::set<std::string> given;  // fields that the file sets; others have their defaults
};

// One member of a configuration that differs.
struct ConfigChange {
    std::string path;  // "train.epochs"
    Json before;       // null: an older version of the program did not have it
    Json after;
    bool operator==(const ConfigChange&) const = default;
};

struct VariantDifference {
    enum class Kind { unchanged, changed, is_new, gone };
    Kind kind = Kind::unchanged;
    std::string stage;
    std::string name;
    std::vector<ConfigChange> changes;  // of changed
    std::size_t jobs = 0;               // new ones, or of gone: those that are
    std::size_t kept_jobs = 0;          // the same as before
    bool is_ensemble = false;
    std::size_t done_jobs = 0;  // of the new ones: those that have a result all the same
};

// `planned`: its stages as they would be run; none: beside the file's base.
StudyRecord record_of(const Study& study, const std::vector<PlannedStage>& planned = {});

// The fields that the text of a study sets; empty if it is no TOML.
std::set<std::string> given_fields(const std::string& toml);

// Variants of `after` in their order, then those that are gone. Variants are the same by stage and name.
std::vector<VariantDifference> compare(const StudyRecord& before, const StudyRecord& after,
                                       const std::set<std::string>& done = {});

// The differences for users, and what changed in all variants (data, vocabulary, weights, a default, the
// arithmetic of training) once. `done`: the identities of jobs that have a result, whatever study they were run for.
// Ends with a newline.
std::string render_difference(const StudyRecord& before, const StudyRecord& after,
                              const std::set<std::string>& done = {});

}  // namespace orchestrate
