// [[ablation]] entries as users say them: leave one out, keep one, add, set, sweep, cross. Each is a product of
// factors; a factor makes alternatives, an alternative is a list of edits that turn a baseline into a variant.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "experiments/fields/assignments.h"

namespace orchestrate {

struct Edit {
    enum class Kind { leave_out, add, keep_only, set };
    Kind kind = Kind::set;
    std::vector<std::string> features;  // of all but set
    const Field* field = nullptr;       // of set
    Value value;                        // of set
    SourceSpan where;
};

struct Alternative {
    std::string name;  // empty: generated from the edits
    std::vector<Edit> edits;
};

struct Factor {
    enum class Kind {
        fixed,    // the alternatives as they stand
        subsets,  // leaves out `size` of the features; `count` of all such subsets, drawn by `seed`
        keep_one,
        leave_layers_out,  // each of the encoder layers that the baseline keeps
        leave_items_out,   // each item of a parameter that is a list
        keep_one_item,
    };
    Kind kind = Kind::fixed;
    std::string key;                        // that makes it, for messages
    std::vector<Alternative> alternatives;  // of fixed
    bool every_feature = false;             // "data.features": of whatever the baseline has
    std::vector<std::string> features;      // otherwise
    const Field* list = nullptr;            // of the items
    std::int64_t size = 1;
    std::int64_t count = 0;  // 0: all
    std::uint64_t seed = 0;
    SourceSpan where;
};

struct AblationEntry {
    std::vector<Factor> factors;  // crossed: the last changes first
    std::string name;             // empty: generated; "{}" stands for the generated one
    std::map<std::string, std::pair<std::string, SourceSpan>> names;  // generated one -> the one to show
    std::vector<SeedConfig> seeds;                                    // empty: the study's
    int ranks = 0;                                                    // 0: the study's
    std::string stage = "ablation";
    SourceSpan stage_where;
    SourceSpan where;
};

struct Variation {
    std::string name;
    std::string change;
    JobConfig config;
    SourceSpan where;
};

// Most variants that one entry, or one stage, may make.
inline constexpr std::size_t kMaxVariants = 100'000;

// Reports unknown keys, unfit values and entries that change nothing.
AblationEntry read_ablation(const Value& entry, const NameableFields& fields, Diagnostics& diagnostics);

// The alternatives of a factor beside this baseline; none (reported) if there are too many or they cannot be
// made. `others`: variants that the factors before it make.
std::vector<Alternative> alternatives_of(const Factor& factor, const JobConfig& baseline, std::size_t others,
                                         Diagnostics& diagnostics);

// Calls `visit` with each variation that the entry makes of a baseline, until it returns false. Reports products that
// are too large, a feature to be left out that the baseline lacks, a feature to be added that it has, and
// contradictions that an edit makes; such variations are left out.
using VisitVariation = std::function<bool(Variation)>;
void apply_ablation(const AblationEntry& entry, const Settings& settings, const JobConfig& baseline,
                    Diagnostics& diagnostics, const VisitVariation& visit);

}  // namespace orchestrate
