#include "experiments/study.h"

#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>

#include "experiments/rules.h"
#include "experiments/study_plan.h"

namespace orchestrate {
namespace {

std::vector<Variant> expand_search(const Study::Plan& plan, const JobConfig& base, Mistakes& mistakes) {
    const auto& search = plan.settings.search;
    const int ranks = search.ranks > 0 ? search.ranks : plan.settings.ranks;
    const bool base_is_sound = find_contradictions(base, plan.settings.ranks).empty();  // else reported there
    std::vector<Variant> variants;
    for (std::int64_t trial = 1; trial <= search.trials; ++trial) {
        Settings drawn = plan.settings;
        drawn.job = base;
        Variant variant;
        variant.name = fmt::format("trial {}", trial);
        for (const auto& distribution : plan.space) {
            distribution.field->write(
                drawn, draw(distribution, search.seed, static_cast<std::uint64_t>(trial)), mistakes);
            variant.change += (variant.change.empty() ? "" : ", ") + distribution.field->phrase(drawn);
        }
        if (base_is_sound) {
            const auto contradictions = find_contradictions(drawn.job, ranks);
            for (const auto& contradiction : contradictions) {
                mistakes.error(plan.search_where,
                               variant.name + " (" + variant.change + "): " + contradiction.message);
            }
            if (!contradictions.empty()) {
                break;  // the other trials would say the same
            }
        }
        variant.config = without_unused_fields(drawn.job);
        variant.resources = plan.settings.resources(ranks);
        variant.seeds = search.seeds.empty() ? plan.settings.seeds : search.seeds;
        variants.push_back(std::move(variant));
    }
    return variants;
}

std::vector<Variant> expand_ablations(const Study::Plan& plan, const Stage& stage, const JobConfig& baseline,
                                      Mistakes& mistakes) {
    Variant first;
    first.name = "baseline";
    first.change = stage.baseline_stage.empty() ? "as the file says" : "best of " + stage.baseline_stage;
    first.config = without_unused_fields(baseline);
    first.resources = plan.settings.resources();
    first.seeds = plan.settings.seeds;
    first.is_baseline = true;
    std::vector<Variant> variants = {first};
    std::map<std::string, SourceSpan> names = {{first.name, {}}};
    for (const auto& entry : plan.ablations) {
        for (auto& variation : apply_ablation(entry, plan.settings, baseline, mistakes)) {
            if (const auto [at, is_new] = names.emplace(variation.name, variation.where); !is_new) {
                const std::string other = at->second.line > 0
                                              ? fmt::format("the other is made in line {}", at->second.line)
                                              : "it is the name of the one that the others are compared with";
                mistakes.error(variation.where,
                               "two variants are named '" + variation.name + "': " + other +
                                   "; expected different names, give one with name = \"...\"");
                continue;
            }
            Variant variant;
            variant.name = std::move(variation.name);
            variant.change = std::move(variation.change);
            variant.config = std::move(variation.config);
            variant.resources = plan.settings.resources(entry.ranks);
            variant.seeds = entry.seeds.empty() ? plan.settings.seeds : entry.seeds;
            variants.push_back(std::move(variant));
        }
    }
    return variants;
}

}  // namespace

std::vector<Variant> expand_stage(const Study::Plan& plan, const Stage& stage, const JobConfig& baseline,
                                  Mistakes& mistakes) {
    return stage.kind == StageKind::search ? expand_search(plan, baseline, mistakes)
                                           : expand_ablations(plan, stage, baseline, mistakes);
}

void warn_of_equal_trials(const std::vector<Variant>& trials, const SourceSpan& where, Mistakes& mistakes) {
    std::set<std::string> different;
    for (const auto& trial : trials) {
        different.insert(canonical_json(trial.config));
    }
    if (different.size() < trials.size()) {
        mistakes.warning(
            where, fmt::format("{} trials make {} different configuration{}; equal ones share their jobs",
                               trials.size(), different.size(), different.size() == 1 ? "" : "s"));
    }
}

void warn_of_equal_variants(const std::vector<Variant>& variants, const SourceSpan& where,
                            Mistakes& mistakes) {
    std::map<std::string, std::string> first_with;
    for (const auto& variant : variants) {
        const auto [at, is_new] = first_with.emplace(canonical_json(variant.config), variant.name);
        if (!is_new) {
            mistakes.warning(where,
                             "'" + variant.name + "' and '" + at->second +
                                 "' are the same configuration; they share their jobs and will show the same "
                                 "numbers");
        }
    }
}

std::vector<Variant> Study::expand(const Stage& stage, const JobConfig& baseline) const {
    Mistakes mistakes;
    auto variants = expand_stage(*plan, stage, baseline, mistakes);
    mistakes.throw_if_any();
    return variants;
}

std::optional<std::size_t> best_variant(const std::vector<std::optional<double>>& mean_metric) {
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < mean_metric.size(); ++i) {
        const auto& value = mean_metric[i];
        if (value && !std::isnan(*value) && (!best || *value > *mean_metric[*best])) {
            best = i;
        }
    }
    return best;
}

}  // namespace orchestrate
