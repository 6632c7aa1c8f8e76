#include "coordinator/studies/stage_ensembles.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "coordinator/store/stored_ensembles.h"

namespace orchestrate {
namespace {

using VariantsOf = std::map<std::string, std::vector<Variant>>;

class MemberFinder {
  public:
    MemberFinder(JobStore& store, StudyId study_row, const VariantsOf& variants_of)
        : store_(store), study_row_(study_row), variants_of_(variants_of) {}

    // `why`: there is none.
    std::vector<const Variant*> find(const Ensemble& ensemble, std::vector<std::string>& notes,
                                     std::string& why) {
        return ensemble.best > 0 ? best(ensemble, notes, why) : named(ensemble, why);
    }

  private:
    std::vector<const Variant*> best(const Ensemble& ensemble, std::vector<std::string>& notes,
                                     std::string& why) {
        const auto& rows = variants_of_.at(ensemble.best_stage);
        const auto means = store_.mean_metric(study_row_, ensemble.best_stage, ensemble.select_by);
        const auto* const metric = find_declaration(training_metrics(), ensemble.select_by.name);
        std::vector<const Variant*> members;
        std::vector<std::string> names;
        for (const std::size_t place : best_variants(means, ensemble.best, metric->goal)) {
            members.push_back(&rows.at(place));
            names.push_back(rows[place].name);
        }
        if (members.empty()) {
            why = fmt::format("no variant of stage {} has a result to be chosen by", ensemble.best_stage);
        } else {
            notes.push_back(fmt::format("ensemble '{}': {}", ensemble.name, fmt::join(names, ", ")));
        }
        return members;
    }

    std::vector<const Variant*> named(const Ensemble& ensemble, std::string& why) {
        std::vector<const Variant*> members;
        for (const auto& [stage, name] : ensemble.members) {
            const auto& rows = variants_of_.at(stage);
            const auto found =
                std::find_if(rows.begin(), rows.end(),
                             [&, &wanted = name](const Variant& row) { return row.name == wanted; });
            if (found == rows.end()) {
                why = fmt::format("stage {} made no variant '{}'", stage, name);
                return {};
            }
            members.push_back(&*found);
        }
        return members;
    }

    JobStore& store_;
    StudyId study_row_;
    const VariantsOf& variants_of_;
};

}  // namespace

std::vector<std::string> compute_ensembles(JobStore& store, const Study& study, StudyId study_row,
                                           const Stage& stage, const VariantsOf& variants_of) {
    std::vector<std::string> notes;
    std::vector<KnownEnsemble> known;
    MemberFinder finder(store, study_row, variants_of);
    for (const auto& ensemble : study.ensembles) {
        if (ensemble.stage == stage.name) {
            std::string why;
            const auto members = finder.find(ensemble, notes, why);
            known.push_back({ensemble, ensemble_runs(ensemble, members, variants_of.at(stage.name)), why});
        }
    }
    if (!known.empty()) {
        for (auto& complaint : store.sync_ensembles(study_row, stage.name, known)) {
            notes.push_back(std::move(complaint));
        }
    }
    return notes;
}

}  // namespace orchestrate
