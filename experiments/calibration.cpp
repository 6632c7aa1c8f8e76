#include "experiments/calibration.h"

#include <algorithm>

#include <fmt/format.h>

#include "common/base/error.h"
#include "experiments/syntax/overrides.h"

namespace orchestrate {

std::string calibration_study(const Study& study) {
    if (study.base.command) {
        throw UserError(
            "--calibrate trains for one epoch to see how long jobs take; a command has no epochs. Run "
            "one job of it, and plan again");
    }
    Diagnostics diagnostics;
    Value root = parse_toml(std::make_shared<SourceText>(SourceText{"calibration", {}, study.canonical_toml}),
                            diagnostics);
    auto& table = std::get<ValueTable>(root.data);
    const auto drop = [](ValueTable& from, std::initializer_list<std::string_view> keys) {
        std::erase_if(from.entries, [&](const ValueEntry& entry) {
            return std::find(keys.begin(), keys.end(), entry.key) != keys.end();
        });
    };
    drop(table, {"search", "ablation", "stages", "ensemble", "variables"});
    for (auto& entry : table.entries) {
        if (auto* section = std::get_if<ValueTable>(&entry.value.data); section && entry.key == "study") {
            drop(*section, {"baseline_seeds", "save_models"});
        }
    }
    std::vector<std::string> changes = {
        "study.name=\"calibration\"", "study.seeds=[1]", "study.ranks=1",       "train.epochs=1",
        "cluster.kind=\"local\"",     "cluster.slots=1", "data.split.repeats=1"};
    if (study.base.data.split.folds > 0) {
        changes.insert(changes.end(), {"data.split.folds=0", "data.split.train=0.8",
                                       "data.split.validation=0.1", "data.split.test=0.1"});
    }
    const std::int64_t rows = study.base.data.max_rows > 0 ? study.base.data.max_rows : data_rows(study);
    if (rows > kCalibrationRows) {
        changes.push_back(fmt::format("data.max_rows={}", kCalibrationRows));
    }
    for (const auto& change : changes) {
        apply_override(root, change, diagnostics);
    }
    diagnostics.throw_if_any();
    return write_toml(root);
}

}  // namespace orchestrate
