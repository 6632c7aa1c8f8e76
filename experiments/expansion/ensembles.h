// [[ensemble]]: variants that are not trained but computed from the stored predictions of others.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "experiments/expansion/study.h"
#include "experiments/fields/fields.h"

namespace orchestrate {

// An ensemble with the places of its parts in the file.
struct EnsembleEntry {
    Ensemble ensemble;
    std::vector<std::string> names;  // of the members, as they stand in the file
    SourceSpan where;
    SourceSpan members_where;
    SourceSpan stage_where;
};

// Reads one [[ensemble]]. Reports unknown keys and unfit values.
EnsembleEntry read_ensemble(const Value& entry, Diagnostics& diagnostics);

// Variants of each stage, as far as they are known when the study is read.
using VariantsOfStages = std::map<std::string, std::vector<Variant>>;

// Finds stage and members, and gives a name where there is none. Reports stages and members that are not there, members
// that come later or are tested on other rows, and names that are taken.
void resolve_ensembles(std::vector<EnsembleEntry>& entries, const std::vector<Stage>& stages,
                       const VariantsOfStages& variants, Diagnostics& diagnostics);

// One result of an ensemble: the jobs, by identity and ascending, whose predictions it combines. Equal jobs count once.
struct EnsembleRun {
    Run run;
    std::vector<std::string> members;
};

// Per seed, fold and split that all members have, with the pair of the same run of `beside`, the stage's variants; or, over
// all seeds, one per fold and split, whose `pair` is below 0 and whose seeds are those of the first run.
std::vector<EnsembleRun> ensemble_runs(const Ensemble& ensemble, const std::vector<const Variant*>& members,
                                       const std::vector<Variant>& beside);

// What an ensemble's job is identified by, as JSON; its SHA-256 is the identity.
std::string canonical_json(EnsembleRule rule, const EnsembleRun& run);

// "mean of trial 1 and trial 3"; "vote of the best 5 of search, over seeds".
std::string describe(const Ensemble& ensemble);

}  // namespace orchestrate
