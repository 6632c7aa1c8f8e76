#include "experiments/expansion/stages.h"

#include <algorithm>

#include <fmt/format.h>

#include "experiments/checks/command_settings.h"
#include "experiments/expansion/choice.h"
#include "experiments/fields/table_keys.h"

namespace orchestrate {
namespace {

class StageReader {
  public:
    StageReader(const Value& section, const std::vector<Stage>& earlier, const Settings& settings,
                Diagnostics& diagnostics)
        : earlier_(earlier), settings_(settings), diagnostics_(diagnostics) {
        if (const auto* table = section.as_table()) {
            for (const auto& entry : table->entries) {
                later_.push_back(entry.key);
            }
        }
    }

    std::vector<Stage> read(const Value& section) {
        const auto* table = section.as_table();
        if (!table) {
            report_unfit(section, "stages", "tables, [stages.NAME]", diagnostics_);
            return {};
        }
        for (const auto& entry : table->entries) {
            const auto* keys = entry.value.as_table();
            check_shown_name(entry.key, entry.key_where, "the name of a stage", diagnostics_);
            if (!keys) {
                report_unfit(entry.value, "stages." + entry.key, "a table, [stages." + entry.key + "]",
                             diagnostics_);
            } else if (find(entry.key)) {
                diagnostics_.error(entry.key_where,
                                   "there is a stage '" + entry.key + "' already; expected another name");
            } else {
                read_stage(entry, *keys);
            }
            later_.erase(later_.begin());
        }
        return made_;
    }

  private:
    void read_stage(const ValueEntry& entry, const ValueTable& keys) {
        Stage stage;
        stage.name = entry.key;
        stage.metrics = reported_metrics(settings_);
        stage.primary_metric = default_selection(settings_);
        stage.select_by = {MetricPart::validation, default_selection(settings_)};
        const Stage* search = find("search");
        if (search) {
            stage.baseline_stage = search->name;
            stage.select_by = search->select_by;
        }
        for (const auto& [key, key_where, value] : keys.entries) {
            if (key == "baseline") {
                read_baseline(value, stage);
            } else if (key == "rows") {
                read_rows(value, stage);
            } else {
                diagnostics_.unknown_name(key_where,
                                          "unknown key '" + key + "' in [stages." + stage.name +
                                              "]; expected " + join_alternatives(keys_of("stages")),
                                          key, keys_of("stages"));
            }
        }
        made_.push_back(std::move(stage));
    }

    void read_baseline(const Value& value, Stage& stage) {
        if (value.as_text() && *value.as_text() == "the file") {
            stage.baseline_stage.clear();
            return;
        }
        const auto choice = value.as_text() ? parse_choice(*value.as_text()) : std::nullopt;
        if (!choice || choice->rule != "best" || choice->count != 1) {
            report_unfit(value, "baseline",
                         "\"the file\" or, e.g., \"best of search by validation macro_f1\"", diagnostics_);
        } else if (is_earlier(choice->stage, value)) {
            stage.baseline_stage = choice->stage;
            stage.select_by = chosen_metric(*choice, value);
            warn_of_test(choice->part, value, "the baseline of stage '" + stage.name + "'");
        }
    }

    void read_rows(const Value& value, Stage& stage) {
        const auto choice = value.as_text() ? parse_choice(*value.as_text()) : std::nullopt;
        if (!choice || choice->rule == "best") {
            report_unfit(value, "rows",
                         "e.g. \"top 3 of ablation by validation macro_f1\" or \"significant of ablation\"",
                         diagnostics_);
        } else if (is_earlier(choice->stage, value)) {
            if (find(choice->stage)->kind == StageKind::search) {
                diagnostics_.error(value.where,
                                   "stage '" + choice->stage +
                                       "' has no baseline that its rows differ from; expected rows of "
                                       "ablations");
                return;
            }
            stage.rows_stage = choice->stage;
            stage.rows_rule = choice->rule == "top" ? VariantFilter::top : VariantFilter::significant;
            stage.max_rows = choice->count;
            stage.rows_by = chosen_metric(*choice, value);
            warn_of_test(choice->part, value, "the rows of stage '" + stage.name + "'");
        }
    }

    MetricKey chosen_metric(const Choice& choice, const Value& value) {
        if (choice.metric.empty()) {
            return {choice.part, default_selection(settings_)};
        }
        is_declared(settings_, choice.metric, value.where, diagnostics_);
        return {choice.part, choice.metric};
    }

    std::vector<const Stage*> stages_so_far() const {
        std::vector<const Stage*> stages;
        for (const auto& stage : earlier_) {
            stages.push_back(&stage);
        }
        for (const auto& stage : made_) {
            stages.push_back(&stage);
        }
        return stages;
    }

    const Stage* find(const std::string& name) const {
        const auto stages = stages_so_far();
        const auto found = std::find_if(stages.begin(), stages.end(),
                                        [&](const Stage* stage) { return stage->name == name; });
        return found == stages.end() ? nullptr : *found;
    }

    bool is_earlier(const std::string& name, const Value& value) {
        if (find(name)) {
            return true;
        }
        std::vector<std::string> names;
        for (const Stage* stage : stages_so_far()) {
            names.push_back(stage->name);
        }
        const bool is_later = std::find(later_.begin(), later_.end(), name) != later_.end();
        diagnostics_.unknown_name(
            value.where,
            (is_later ? "stage '" + name + "' comes later" : "there is no stage '" + name + "'") +
                "; expected an earlier one: " + (names.empty() ? "there is none" : join_alternatives(names)),
            name, names);
        return false;
    }

    void warn_of_test(MetricPart part, const Value& value, const std::string& what) {
        if (part == MetricPart::test) {
            diagnostics_.warning(value.where, selection_warning(what));
        }
    }

    const std::vector<Stage>& earlier_;
    const Settings& settings_;
    Diagnostics& diagnostics_;
    std::vector<Stage> made_;
    std::vector<std::string> later_;  // names of stages below the one that is read, and it
};

}  // namespace

MetricGoal Stage::goal_of(const std::string& metric) const {
    const auto* const declaration = find_declaration(metrics, metric);
    return declaration == nullptr ? MetricGoal::max : declaration->goal;
}

std::string selection_warning(const std::string& what) {
    return what +
           " would be chosen by the test part, which is also what is reported: the best of several looks "
           "better there "
           "than it is, since chance was chosen too; expected a choice by validation";
}

std::vector<Stage> read_stages(const Value& section, const std::vector<Stage>& earlier,
                               const Settings& settings, Diagnostics& diagnostics) {
    return StageReader(section, earlier, settings, diagnostics).read(section);
}

}  // namespace orchestrate
