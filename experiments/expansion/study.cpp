#include "experiments/expansion/study.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "experiments/expansion/rules.h"
#include "experiments/expansion/study_plan.h"

namespace orchestrate {
namespace {

constexpr std::size_t kMaxJobs = 1'000'000;  // of a stage
constexpr std::size_t kMaxWarnings = 10;     // of equal variants

// Whether a stage may have these variants and one more; reports where not.
bool has_room(const std::vector<Variant>& variants, std::size_t jobs, const SourceSpan& where,
              Diagnostics& diagnostics) {
    if (variants.size() > kMaxVariants) {  // the baseline does not count
        diagnostics.error(where,
                          fmt::format("this makes more than {} variants of one stage; expected at most that "
                                      "many",
                                      kMaxVariants));
    } else if (jobs > kMaxJobs) {
        diagnostics.error(where,
                          fmt::format("this makes more than {} jobs of one stage; expected fewer variants, "
                                      "seeds or folds",
                                      kMaxJobs));
    } else {
        return true;
    }
    return false;
}

// The runs of a variant with these seeds, beside a baseline with those of `reference`.
std::vector<Run> make_runs(const Settings& settings, const std::vector<SeedConfig>& seeds,
                           const std::vector<SeedConfig>& reference) {
    const std::int64_t folds = std::max<std::int64_t>(1, settings.job.data.split.folds);
    std::vector<Run> runs;
    runs.reserve(seeds.size() * static_cast<std::size_t>(folds * settings.split_repeats));
    auto unpaired = static_cast<std::int64_t>(reference.size());
    for (std::size_t i = 0; i < seeds.size(); ++i) {
        const bool same_place = i < reference.size() && reference[i] == seeds[i];
        const auto at = same_place ? reference.begin() + static_cast<std::ptrdiff_t>(i)
                                   : std::find(reference.begin(), reference.end(), seeds[i]);
        const std::int64_t place = at == reference.end() ? unpaired++ : at - reference.begin();
        for (std::int64_t repeat = 0; repeat < settings.split_repeats; ++repeat) {
            for (std::int64_t fold = 0; fold < folds; ++fold) {
                const auto pair = (place * settings.split_repeats + repeat) * folds + fold;
                runs.push_back({seeds[i], fold, repeat, static_cast<int>(pair)});
            }
        }
    }
    return runs;
}

bool is_set(const std::atomic<bool>* abandoned) {
    return abandoned != nullptr && *abandoned;
}

std::vector<Variant> expand_search(const Study::Plan& plan, const JobConfig& base, Diagnostics& diagnostics,
                                   const std::atomic<bool>* abandoned) {
    const auto& search = plan.settings.search;
    const int ranks = search.ranks > 0 ? search.ranks : plan.settings.ranks;
    const bool base_is_sound = find_contradictions(base, plan.settings.ranks).empty();  // else reported there
    std::vector<Variant> variants;
    std::size_t jobs = 0;
    Settings start = plan.settings;
    start.job = base;
    const auto add_trial = [&](std::int64_t trial, const Settings& drawn,
                               const std::vector<const Field*>& set) {
        Variant variant;
        variant.name = fmt::format("trial {}", trial);
        for (const Field* field : set) {
            variant.change += (variant.change.empty() ? "" : ", ") + field->phrase(drawn);
        }
        if (base_is_sound) {
            const auto contradictions = find_contradictions(drawn.job, ranks);
            for (const auto& contradiction : contradictions) {
                diagnostics.error(plan.search_where,
                                  variant.name + " (" + variant.change + "): " + contradiction.message);
            }
            if (!contradictions.empty()) {
                return false;  // the other trials would say the same
            }
        }
        variant.config = without_unused_fields(drawn.job);
        variant.resources = plan.settings.resources(ranks);
        variant.resources.pause_after_epoch = search.rungs.empty() ? 0 : search.rungs.front();
        const auto& seeds = search.seeds.empty() ? plan.settings.seeds : search.seeds;
        variant.runs = make_runs(plan.settings, seeds, seeds);
        jobs += variant.runs.size();
        if (!has_room(variants, jobs, plan.search_where, diagnostics)) {
            return false;
        }
        variants.push_back(std::move(variant));
        return !is_set(abandoned);
    };
    for_each_trial(plan.space, start, diagnostics, add_trial);
    return variants;
}

// The variants of a stage of ablations: its baseline, the rows of an earlier stage that it goes on with, and what each
// [[ablation]] makes of these, or without them of the baseline.
class AblationExpansion {
  public:
    AblationExpansion(const Study::Plan& plan, const Stage& stage, const JobConfig& baseline,
                      Diagnostics& diagnostics, const std::atomic<bool>* abandoned)
        : plan_(plan),
          settings_(plan.settings),
          stage_(stage),
          baseline_(baseline),
          diagnostics_(diagnostics),
          abandoned_(abandoned),
          reference_(settings_.baseline_seeds.empty() ? settings_.seeds : settings_.baseline_seeds) {}

    std::vector<Variant> run(const std::vector<Variant>& rows) {
        Variant first;
        first.name = "baseline";
        first.change =
            stage_.baseline_stage.empty() ? "as the file says" : "best of " + stage_.baseline_stage;
        first.config = without_unused_fields(baseline_);
        first.resources = settings_.resources();
        first.runs = make_runs(settings_, reference_, reference_);
        first.is_baseline = true;
        add(std::move(first), {});
        for (const auto& row : rows) {
            Variant again = row;
            again.entry = -1;
            add(std::move(again), {});
        }
        int number = 0;
        for (const auto& entry : plan_.ablations) {
            if (entry.stage == stage_.name) {
                expand_entry(entry, number, rows);
            }
            ++number;
        }
        return std::move(variants_);
    }

  private:
    void expand_entry(const AblationEntry& entry, int number, const std::vector<Variant>& rows) {
        if (stage_.rows_stage.empty()) {
            add_variations(entry, number, baseline_, nullptr);
        }
        for (const auto& row : rows) {
            add_variations(entry, number, row.config, &row);
        }
    }

    void add_variations(const AblationEntry& entry, int number, const JobConfig& start, const Variant* row) {
        apply_ablation(entry, settings_, start, diagnostics_, [&](Variation variation) {
            Variant variant;
            variant.name = (row ? row->name + ", " : "") + variation.name;
            variant.change = (row ? row->change + ", " : "") + variation.change;
            variant.config = std::move(variation.config);
            variant.resources = settings_.resources(entry.ranks);
            variant.runs =
                make_runs(settings_, entry.seeds.empty() ? settings_.seeds : entry.seeds, reference_);
            variant.entry = number;
            return add(std::move(variant), variation.where);
        });
    }

    // False if the stage is full, or nobody wants it any more. A name that is taken is reported.
    bool add(Variant variant, const SourceSpan& where) {
        if (const auto [at, is_new] = names_.emplace(variant.name, where); !is_new) {
            const std::string other = at->second.line > 0
                                          ? fmt::format("the other is made in line {}", at->second.line)
                                          : "it is the name of the one that the others are compared with";
            diagnostics_.error(where, "two variants are named '" + variant.name + "': " + other +
                                          "; expected different names, give one with name = \"...\"");
            return true;
        }
        jobs_ += variant.runs.size();
        if (!has_room(variants_, jobs_, where, diagnostics_)) {
            return false;
        }
        variants_.push_back(std::move(variant));
        return !is_set(abandoned_);
    }

    const Study::Plan& plan_;
    const Settings& settings_;
    const Stage& stage_;
    const JobConfig& baseline_;
    Diagnostics& diagnostics_;
    const std::atomic<bool>* abandoned_;
    const std::vector<SeedConfig>& reference_;
    std::vector<Variant> variants_;
    std::unordered_map<std::string, SourceSpan> names_;
    std::size_t jobs_ = 0;
};

}  // namespace

JobConfig job_of(const Variant& variant, const Run& run) {
    JobConfig job = variant.config;
    job.seed = run.seed;
    job.data.split.fold = run.fold;
    job.data.split.seed += static_cast<std::uint64_t>(run.repeat);
    return job;
}

std::string describe(const Variant& variant, const Run& run) {
    std::string text =
        run.seed.initialization == run.seed.data_order
            ? fmt::format("seed {}", run.seed.initialization)
            : fmt::format("initial weights {}, data order {}", run.seed.initialization, run.seed.data_order);
    if (const auto folds = variant.config.data.split.folds; folds > 0) {
        text += fmt::format(", fold {} of {}", run.fold + 1, folds);
    }
    if (run.repeat > 0) {
        text += fmt::format(", split {}", run.repeat + 1);
    }
    return text;
}

std::vector<Variant> expand_stage(const Study::Plan& plan, const Stage& stage, const JobConfig& baseline,
                                  const std::vector<Variant>& rows, Diagnostics& diagnostics,
                                  const std::atomic<bool>* abandoned) {
    return stage.kind == StageKind::search
               ? expand_search(plan, baseline, diagnostics, abandoned)
               : AblationExpansion(plan, stage, baseline, diagnostics, abandoned).run(rows);
}

std::vector<Variant> stand_in_rows(const Study::Plan& plan, const std::vector<Stage>& stages,
                                   const Stage& stage) {
    std::vector<Variant> rows;
    const auto before = std::find_if(stages.begin(), stages.end(),
                                     [&](const Stage& other) { return other.name == stage.rows_stage; });
    if (before == stages.end()) {
        return rows;
    }
    Diagnostics reported_there;
    for (auto& variant : expand_stage(plan, *before, plan.settings.job, stand_in_rows(plan, stages, *before),
                                      reported_there)) {
        if (!variant.is_baseline && rows.size() < stage.max_rows) {
            rows.push_back(std::move(variant));
        }
    }
    return rows;
}

void warn_of_equal_trials(const std::vector<Variant>& trials, const SourceSpan& where,
                          Diagnostics& diagnostics) {
    std::unordered_set<std::string> different;
    for (const auto& trial : trials) {
        different.insert(job_identity(trial.config));
    }
    if (different.size() < trials.size()) {
        diagnostics.warning(
            where, fmt::format("{} trials make {} different configuration{}; equal ones share their jobs",
                               trials.size(), different.size(), different.size() == 1 ? "" : "s"));
    }
}

void warn_of_equal_variants(const std::vector<Variant>& variants, const SourceSpan& where,
                            Diagnostics& diagnostics) {
    std::unordered_map<std::string, const Variant*> first_with;
    std::size_t equal = 0;
    for (const auto& variant : variants) {
        const auto [at, is_new] = first_with.emplace(job_identity(variant.config), &variant);
        if (!is_new && ++equal <= kMaxWarnings) {
            diagnostics.warning(
                where, "'" + variant.name + "' and '" + at->second->name +
                           "' are the same configuration; they share their jobs and will show the same "
                           "numbers");
        }
    }
    if (equal > kMaxWarnings) {
        diagnostics.warning(where, fmt::format("{} more variants are the same configuration as another one",
                                               equal - kMaxWarnings));
    }
}

std::vector<Variant> Study::expand(const Stage& stage, const JobConfig& baseline) const {
    return expand(stage, baseline, stand_in_rows(*plan, stages, stage));
}

std::vector<Variant> Study::expand(const Stage& stage, const JobConfig& baseline,
                                   const std::vector<Variant>& rows,
                                   const std::atomic<bool>* abandoned) const {
    Diagnostics diagnostics;
    auto variants = expand_stage(*plan, stage, baseline, rows, diagnostics, abandoned);
    diagnostics.throw_if_any();
    return variants;
}

std::int64_t data_rows(const Study& study) {
    return study.plan->data.rows;
}

std::int64_t data_classes(const Study& study) {
    return study.plan->data.classes;
}

std::optional<std::size_t> best_variant(const std::vector<std::optional<double>>& mean_metric,
                                        MetricGoal goal) {
    const auto best = best_variants(mean_metric, 1, goal);
    return best.empty() ? std::nullopt : std::optional(best.front());
}

std::vector<std::size_t> best_variants(const std::vector<std::optional<double>>& mean_metric,
                                       std::size_t count, MetricGoal goal) {
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < mean_metric.size(); ++i) {
        if (mean_metric[i] && !std::isnan(*mean_metric[i])) {
            places.push_back(i);
        }
    }
    std::stable_sort(places.begin(), places.end(), [&](std::size_t a, std::size_t b) {
        return goal == MetricGoal::max ? *mean_metric[a] > *mean_metric[b]
                                       : *mean_metric[a] < *mean_metric[b];
    });
    places.resize(std::min(count, places.size()));
    return places;
}

}  // namespace orchestrate
