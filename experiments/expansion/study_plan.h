// What a checked study keeps of its file to expand its stages; internal to experiments/.
#pragma once

#include <vector>

#include "experiments/checks/data_checks.h"
#include "experiments/expansion/ablation.h"
#include "experiments/expansion/ensembles.h"
#include "experiments/expansion/search_space.h"

namespace orchestrate {

struct Study::Plan {
    Settings settings;  // settings.job is the base
    bool has_search = false;
    std::vector<Field> parameters;  // of a command; what space and ablations point to
    std::vector<Distribution> space;
    std::vector<AblationEntry> ablations;
    std::vector<EnsembleEntry> ensembles;
    SourceSpan search_where;
    DataFacts data;  // rows: of the chosen classes
};

// Study::expand, with errors collected instead of thrown; variants that have one are left out.
std::vector<Variant> expand_stage(const Study::Plan& plan, const Stage& stage, const JobConfig& baseline,
                                  const std::vector<Variant>& rows, Diagnostics& diagnostics,
                                  const std::atomic<bool>* abandoned = nullptr);

// Rows that stand for those that are chosen when the stage before is done: the first that it could be, beside the file's
// base; none if the stage goes on with none.
std::vector<Variant> stand_in_rows(const Study::Plan& plan, const std::vector<Stage>& stages,
                                   const Stage& stage);

// Warns, once, that a search draws the same configuration again.
void warn_of_equal_trials(const std::vector<Variant>& trials, const SourceSpan& where,
                          Diagnostics& diagnostics);

// Warns of variants of a stage that are the same configuration under two names.
void warn_of_equal_variants(const std::vector<Variant>& variants, const SourceSpan& where,
                            Diagnostics& diagnostics);

}  // namespace orchestrate
