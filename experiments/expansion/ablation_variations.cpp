// Applies an [[ablation]] to a baseline.
#include <algorithm>

#include <fmt/format.h>

#include "experiments/expansion/ablation.h"
#include "experiments/expansion/ablation_names.h"
#include "experiments/expansion/rules.h"

namespace orchestrate {
namespace {

void add_feature(const Edit& edit, const std::string& feature, DataConfig& data, Diagnostics& diagnostics) {
    auto& features = data.features;
    if (std::find(features.begin(), features.end(), feature) != features.end()) {
        diagnostics.error(edit.where, "feature '" + feature +
                                          "' is already in data.features; expected a column that is not");
    } else if (feature == data.label) {
        diagnostics.error(edit.where,
                          "'" + feature + "' is data.label; a model that reads the answer learns nothing");
    } else {
        features.push_back(feature);
    }
}

void leave_feature_out(const Edit& edit, const std::string& feature, DataConfig& data,
                       Diagnostics& diagnostics) {
    auto& features = data.features;
    const auto at = std::find(features.begin(), features.end(), feature);
    if (at == features.end()) {
        diagnostics.unknown_name(
            edit.where, "feature '" + feature + "' is not in data.features, so it cannot be left out",
            feature, features);
    } else if (features.size() == 1) {
        diagnostics.error(edit.where,
                          "leaving out '" + feature + "' leaves no feature; expected at least one");
    } else {
        features.erase(at);
    }
}

void keep_features(const Edit& edit, DataConfig& data, Diagnostics& diagnostics) {
    const auto is_kept = [&](const std::string& feature) {
        return std::find(edit.features.begin(), edit.features.end(), feature) != edit.features.end();
    };
    for (const auto& feature : edit.features) {
        if (std::find(data.features.begin(), data.features.end(), feature) == data.features.end()) {
            diagnostics.unknown_name(
                edit.where, "feature '" + feature + "' is not in data.features, so it cannot be kept",
                feature, data.features);
            return;
        }
    }
    std::erase_if(data.features, [&](const std::string& feature) { return !is_kept(feature); });
}

void apply(const Edit& edit, Settings& settings, Diagnostics& diagnostics) {
    auto& data = settings.job.data;
    switch (edit.kind) {
        case Edit::Kind::set:
            edit.field->write(settings, edit.value, diagnostics);
            break;
        case Edit::Kind::keep_only:
            keep_features(edit, data, diagnostics);
            break;
        case Edit::Kind::leave_out:
            for (const auto& feature : edit.features) {
                leave_feature_out(edit, feature, data, diagnostics);
            }
            break;
        case Edit::Kind::add:
            for (const auto& feature : edit.features) {
                add_feature(edit, feature, data, diagnostics);
            }
            break;
    }
}

std::string put_into(std::string pattern, const std::string& generated) {
    if (const std::size_t at = pattern.find("{}"); at != std::string::npos) {
        pattern.replace(at, 2, generated);
    }
    return pattern;
}

class Application {
  public:
    Application(const AblationEntry& entry, const Settings& settings, const JobConfig& baseline,
                Diagnostics& diagnostics, const VisitVariation& visit)
        : entry_(entry), settings_(settings), baseline_(baseline), diagnostics_(diagnostics), visit_(visit) {
        settings_.job = baseline;
        // Else its contradictions are reported where it is made.
        baseline_is_sound_ = find_contradictions(baseline, settings.ranks).empty();
    }

    void run() {
        std::vector<std::vector<Alternative>> factors;
        std::size_t product = 1;
        const std::size_t before = diagnostics_.errors();
        for (const auto& factor : entry_.factors) {
            factors.push_back(alternatives_of(factor, baseline_, product, diagnostics_));
            product *= std::max<std::size_t>(1, factors.back().size());
        }
        if (diagnostics_.errors() == before) {
            chosen_.reserve(factors.size());
            if (combine(factors)) {
                check_names();
            }
        }
    }

  private:
    // False if the visitor wants no more.
    bool combine(const std::vector<std::vector<Alternative>>& factors) {
        if (chosen_.size() == factors.size()) {
            return chosen_.empty() || add_variation();
        }
        for (const auto& alternative : factors[chosen_.size()]) {
            chosen_.push_back(&alternative);
            const bool goes_on = combine(factors);
            chosen_.pop_back();
            if (!goes_on) {
                return false;
            }
        }
        return true;
    }

    bool add_variation() {
        const std::size_t before = diagnostics_.errors();
        Settings changed = settings_;
        for (const Alternative* alternative : chosen_) {
            for (const auto& edit : alternative->edits) {
                apply(edit, changed, diagnostics_);
            }
        }
        if (diagnostics_.errors() != before) {
            return true;
        }
        auto [name, change] = describe(chosen_, changed);
        const auto& edits = chosen_.front()->edits;
        const auto& where = edits.empty() ? entry_.where : edits.front().where;
        const int ranks = entry_.ranks > 0 ? entry_.ranks : settings_.ranks;
        if (baseline_is_sound_) {
            for (const auto& contradiction : find_contradictions(changed.job, ranks)) {
                diagnostics_.error(where, "variant '" + name + "': " + contradiction.message);
            }
        }
        if (diagnostics_.errors() != before) {
            return true;
        }
        return visit_(
            {shown_name(name), std::move(change), without_unused_fields(std::move(changed.job)), where});
    }

    std::string shown_name(const std::string& generated) {
        if (!entry_.names.empty()) {
            generated_.push_back(generated);
            if (const auto given = entry_.names.find(generated); given != entry_.names.end()) {
                return given->second.first;
            }
        }
        return entry_.name.empty() ? generated : put_into(entry_.name, generated);
    }

    // A new name for a variant that is not made would be lost unseen.
    void check_names() {
        for (const auto& [generated, given] : entry_.names) {
            if (std::find(generated_.begin(), generated_.end(), generated) == generated_.end()) {
                diagnostics_.unknown_name(given.second,
                                          "no variant of this ablation is named '" + generated +
                                              "'; expected " + join_alternatives(generated_),
                                          generated, generated_);
            }
        }
    }

    const AblationEntry& entry_;
    Settings settings_;
    const JobConfig& baseline_;
    Diagnostics& diagnostics_;
    const VisitVariation& visit_;
    bool baseline_is_sound_ = false;
    std::vector<const Alternative*> chosen_;
    std::vector<std::string> generated_;  // names, where some are to be replaced
};

}  // namespace

void apply_ablation(const AblationEntry& entry, const Settings& settings, const JobConfig& baseline,
                    Diagnostics& diagnostics, const VisitVariation& visit) {
    Application(entry, settings, baseline, diagnostics, visit).run();
}

}  // namespace orchestrate
