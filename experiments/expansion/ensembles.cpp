#include "experiments/expansion/ensembles.h"

#include <algorithm>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "common/base/counted.h"
#include "experiments/expansion/choice.h"
#include "experiments/expansion/stages.h"
#include "experiments/fields/table_keys.h"

namespace orchestrate {
namespace {

constexpr std::size_t kMaxNamed = 4;

void read_members(const Value& value, EnsembleEntry& entry, Diagnostics& diagnostics) {
    entry.members_where = value.where;
    if (value.as_list()) {
        for (const auto& name : read_names(value, "member", diagnostics, "members")) {
            entry.names.push_back(*name.as_text());
        }
        return;
    }
    const auto choice = value.as_text() ? parse_choice(*value.as_text()) : std::nullopt;
    const auto metric = !choice || choice->metric.empty() ? kDefaultSelectionMetric
                                                          : enum_from_name<TrainingMetric>(choice->metric);
    if (!choice || choice->rule != "best" || !metric) {
        report_unfit(value, "members",
                     "a list of variants, or, e.g., \"best 5 of search by validation macro_f1\"",
                     diagnostics);
        return;
    }
    auto& ensemble = entry.ensemble;
    ensemble.best = choice->count;
    ensemble.best_stage = choice->stage;
    ensemble.select_by = key_of(choice->part, *metric);
    if (choice->part == MetricPart::test) {
        diagnostics.warning(value.where, selection_warning("the members of an ensemble"));
    }
}

// Whether two variants are tested on the same rows, so that their predictions can be combined.
bool same_rows(const JobConfig& a, const JobConfig& b) {
    DataConfig left = a.data;
    left.features = b.data.features;
    left.text = b.data.text;
    return left == b.data;
}

class EnsembleResolver {
  public:
    EnsembleResolver(const std::vector<Stage>& stages, const VariantsOfStages& variants,
                     Diagnostics& diagnostics)
        : stages_(stages), variants_(variants), diagnostics_(diagnostics) {
        for (const auto& [stage, rows] : variants_) {
            for (const auto& row : rows) {
                taken_.insert({stage, row.name});
            }
        }
    }

    void resolve(EnsembleEntry& entry) {
        auto& ensemble = entry.ensemble;
        const std::size_t before = diagnostics_.errors();
        if (ensemble.stage.empty()) {
            ensemble.stage = !ensemble.best_stage.empty() ? ensemble.best_stage
                             : find("ablation")           ? "ablation"
                                                          : stages_.front().name;
        }
        const Stage* stage = find_or_report(ensemble.stage, entry.stage_where);
        if (!stage) {
            return;
        }
        if (ensemble.best > 0) {
            check_best(entry, *stage);
        } else {
            find_members(entry, *stage);
        }
        if (diagnostics_.errors() != before) {
            return;
        }
        const bool is_single = ensemble.best + ensemble.members.size() < 2;
        if (is_single && !ensemble.across_seeds) {
            diagnostics_.error(entry.members_where,
                               "an ensemble of one variant is that variant; expected more members, or "
                               "across_seeds = true");
        }
        ensemble.change = describe(ensemble);
        ensemble.name = ensemble.name.empty() ? ensemble.change : ensemble.name;
        if (!taken_.insert({ensemble.stage, ensemble.name}).second) {
            diagnostics_.error(entry.where, "two variants are named '" + ensemble.name + "' in stage " +
                                                ensemble.stage +
                                                "; expected different names, give one with name = \"...\"");
        }
    }

  private:
    const Stage* find(const std::string& name) const {
        const auto found = std::find_if(stages_.begin(), stages_.end(),
                                        [&](const Stage& stage) { return stage.name == name; });
        return found == stages_.end() ? nullptr : &*found;
    }

    const Stage* find_or_report(const std::string& name, const SourceSpan& where) {
        const Stage* stage = find(name);
        if (!stage) {
            std::vector<std::string> names;
            for (const auto& other : stages_) {
                names.push_back(other.name);
            }
            diagnostics_.unknown_name(
                where, "there is no stage '" + name + "'; expected " + join_alternatives(names), name, names);
        }
        return stage;
    }

    void check_best(const EnsembleEntry& entry, const Stage& stage) {
        const Stage* from = find_or_report(entry.ensemble.best_stage, entry.members_where);
        if (!from) {
            return;
        }
        if (from > &stage) {
            diagnostics_.error(entry.members_where,
                               "stage '" + from->name + "' comes after '" + stage.name +
                                   "', where the ensemble stands; expected an earlier one");
            return;
        }
        const auto& rows = variants_.at(from->name);
        if (from->rows_stage.empty() && rows.size() < entry.ensemble.best) {
            diagnostics_.error(
                entry.members_where,
                fmt::format("stage '{}' has {}; expected at most the best {} of them", from->name,
                            counted(static_cast<std::int64_t>(rows.size()), "variant"), rows.size()));
        }
        for (const auto& row : rows) {
            check_rows(entry, rows.front(), row);
        }
    }

    // In the ensemble's own stage, then in earlier ones, the latest first.
    void find_members(EnsembleEntry& entry, const Stage& stage) {
        const Variant* first = nullptr;
        for (const auto& name : entry.names) {
            bool may_be_unknown = false;
            const Variant* found = nullptr;
            for (const Stage* at = &stage; !found && at >= stages_.data(); --at) {
                may_be_unknown = may_be_unknown || !at->rows_stage.empty();
                for (const auto& row : variants_.at(at->name)) {
                    if (row.name == name) {
                        found = &row;
                        entry.ensemble.members.push_back({at->name, name});
                    }
                }
            }
            if (found) {
                first = first ? first : found;
                check_rows(entry, *first, *found);
            } else if (may_be_unknown) {
                entry.ensemble.members.push_back({stage.name, name});  // known when its stage begins
            } else {
                std::vector<std::string> names;
                for (const auto& [of_stage, row] : taken_) {
                    names.push_back(row);
                }
                diagnostics_.unknown_name(entry.members_where,
                                          "there is no variant '" + name + "' in stage " + stage.name +
                                              " or before it; expected a row of `orchestrate plan`",
                                          name, names);
            }
        }
    }

    void check_rows(const EnsembleEntry& entry, const Variant& first, const Variant& other) {
        if (!same_rows(first.config, other.config)) {
            diagnostics_.error(entry.members_where, "'" + first.name + "' and '" + other.name +
                                                        "' are tested on different rows, so that their "
                                                        "predictions cannot be combined; expected members "
                                                        "with the same data, classes, rows and split");
        }
    }

    const std::vector<Stage>& stages_;
    const VariantsOfStages& variants_;
    Diagnostics& diagnostics_;
    std::set<std::pair<std::string, std::string>> taken_;  // stage, name
};

using RunKey = std::tuple<std::uint64_t, std::uint64_t, std::int64_t, std::int64_t>;

RunKey key_of(const Run& run) {
    return {run.seed.initialization, run.seed.data_order, run.fold, run.repeat};
}

std::vector<EnsembleRun> runs_over_seeds(const std::vector<const Variant*>& members) {
    std::map<std::pair<std::int64_t, std::int64_t>, EnsembleRun> runs;  // by split and fold
    for (const Variant* member : members) {
        for (const auto& run : member->runs) {
            auto& made = runs.emplace(std::pair(run.repeat, run.fold), EnsembleRun{run, {}}).first->second;
            made.members.push_back(job_identity(job_of(*member, run)));
        }
    }
    std::vector<EnsembleRun> result;
    for (auto& [place, run] : runs) {
        run.run.pair = -1 - static_cast<int>(result.size());
        result.push_back(std::move(run));
    }
    return result;
}

std::vector<EnsembleRun> runs_per_seed(const std::vector<const Variant*>& members,
                                       const std::vector<Variant>& beside) {
    std::map<RunKey, int> pairs;
    int unpaired = 0;
    for (const auto& variant : beside) {
        for (const auto& run : variant.runs) {
            pairs.emplace(key_of(run), run.pair);
            unpaired = std::max(unpaired, run.pair + 1);
        }
    }
    std::vector<EnsembleRun> result;
    for (const auto& run : members.front()->runs) {
        EnsembleRun made{run, {}};
        for (const Variant* member : members) {
            for (const auto& other : member->runs) {
                if (key_of(other) == key_of(run)) {
                    made.members.push_back(job_identity(job_of(*member, other)));
                }
            }
        }
        if (made.members.size() == members.size()) {
            const auto [pair, is_new] = pairs.emplace(key_of(run), unpaired);
            unpaired += is_new ? 1 : 0;
            made.run.pair = pair->second;
            result.push_back(std::move(made));
        }
    }
    return result;
}

}  // namespace

EnsembleEntry read_ensemble(const Value& value, Diagnostics& diagnostics) {
    EnsembleEntry entry;
    entry.where = value.where;
    entry.members_where = value.where;
    entry.stage_where = value.where;
    const auto* table = value.as_table();
    if (!table) {
        report_unfit(value, "ensemble", "a table, [[ensemble]]", diagnostics);
        return entry;
    }
    auto& ensemble = entry.ensemble;
    bool has_members = false;
    const std::size_t before = diagnostics.errors();
    for (const auto& [key, key_where, part] : table->entries) {
        if (key == "members") {
            has_members = true;
            read_members(part, entry, diagnostics);
        } else if (key == "combine") {
            const auto rules = enum_names<EnsembleRule>();
            const auto rule = part.as_text() ? enum_from_name<EnsembleRule>(*part.as_text()) : std::nullopt;
            if (rule) {
                ensemble.combine = *rule;
            } else {
                diagnostics.unknown_name(
                    part.where,
                    "combine cannot be " + part.describe() + "; expected " + join_alternatives(rules),
                    part.as_text() ? *part.as_text() : "", rules);
            }
        } else if (key == "across_seeds") {
            if (part.as_flag()) {
                ensemble.across_seeds = *part.as_flag();
            } else {
                report_unfit(part, "across_seeds", "true or false", diagnostics);
            }
        } else if (key == "stage" || key == "name") {
            if (!part.as_text() || part.as_text()->empty()) {
                report_unfit(part, key, "a text", diagnostics);
                continue;
            }
            check_shown_name(*part.as_text(), part.where, key, diagnostics);
            (key == "stage" ? ensemble.stage : ensemble.name) = *part.as_text();
            (key == "stage" ? entry.stage_where : entry.where) = part.where;
        } else {
            diagnostics.unknown_name(key_where,
                                     "unknown key '" + key + "' in [[ensemble]]; expected " +
                                         join_alternatives(keys_of("ensemble")),
                                     key, keys_of("ensemble"));
        }
    }
    if (!has_members && diagnostics.errors() == before) {
        diagnostics.error(
            value.where,
            "this ensemble has no members; expected members = [\"baseline\", ...] or \"best 5 of "
            "search\"");
    }
    return entry;
}

void resolve_ensembles(std::vector<EnsembleEntry>& entries, const std::vector<Stage>& stages,
                       const VariantsOfStages& variants, Diagnostics& diagnostics) {
    EnsembleResolver resolver(stages, variants, diagnostics);
    for (auto& entry : entries) {
        resolver.resolve(entry);
    }
}

std::vector<EnsembleRun> ensemble_runs(const Ensemble& ensemble, const std::vector<const Variant*>& members,
                                       const std::vector<Variant>& beside) {
    if (members.empty()) {
        return {};
    }
    auto runs = ensemble.across_seeds ? runs_over_seeds(members) : runs_per_seed(members, beside);
    for (auto& run : runs) {
        std::sort(run.members.begin(), run.members.end());
        run.members.erase(std::unique(run.members.begin(), run.members.end()), run.members.end());
    }
    return runs;
}

std::string canonical_json(EnsembleRule rule, const EnsembleRun& run) {
    return Json{{"combine", rule}, {"members", run.members}}.dump();
}

std::string describe(const Ensemble& ensemble) {
    std::string members;
    if (ensemble.best > 0) {
        members = ensemble.best == 1 ? "the best of " + ensemble.best_stage
                                     : fmt::format("the best {} of {}", ensemble.best, ensemble.best_stage);
    } else {
        std::vector<std::string> names;
        for (const auto& member : ensemble.members) {
            names.push_back(member.variant);
        }
        if (names.size() > kMaxNamed) {
            const std::size_t more = names.size() - kMaxNamed + 1;
            names.resize(kMaxNamed - 1);
            names.push_back(fmt::format("{} more", more));
        }
        members = join_and(names);
    }
    return to_string(ensemble.combine) + " of " + members + (ensemble.across_seeds ? ", over seeds" : "");
}

}  // namespace orchestrate
