// [[ablation]] entries as people say them: leave one out, add, set, sweep. Each becomes variations: a name
// and the edits that turn a baseline into a variant.
#pragma once

#include <string>
#include <vector>

#include "experiments/assignments.h"

namespace orchestrate {

struct Edit {
    enum class Kind { leave_out, add, set };
    Kind kind = Kind::set;
    std::string feature;           // of leave_out and add
    const Field* field = nullptr;  // of set
    Value value;                   // of set
    SourceSpan where;
};

struct AblationEntry {
    bool every_feature = false;  // leave_one_out = "data.features": of whatever the baseline has
    std::vector<std::vector<Edit>> alternatives;  // otherwise: one variant each
    std::string name;                             // empty: generated; "{}" stands for the generated one
    std::vector<SeedConfig> seeds;                // empty: the study's
    int ranks = 0;                                // 0: the study's
    SourceSpan where;
};

struct Variation {
    std::string name;
    std::string change;
    JobConfig config;
    SourceSpan where;
};

// Reports unknown keys, unfit values, entries that change nothing and products that are too large.
AblationEntry read_ablation(const Value& entry, Mistakes& mistakes);

// The entry applied to a baseline. Reports a feature to be left out that the baseline lacks, a feature to be
// added that it has, and contradictions that an edit makes; such variations are left out.
std::vector<Variation> apply_ablation(const AblationEntry& entry, const Settings& settings,
                                      const JobConfig& baseline, Mistakes& mistakes);

}  // namespace orchestrate
