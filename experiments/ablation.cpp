#include "experiments/ablation.h"

#include <algorithm>

#include <fmt/format.h>

#include "experiments/rules.h"

namespace orchestrate {
namespace {

constexpr std::size_t kMostVariants = 100'000;

const std::vector<std::string>& ablation_keys() {
    static const std::vector<std::string> kKeys = {"leave_one_out", "leave_out", "add",   "add_each", "set",
                                                   "sweep",         "name",      "seeds", "ranks"};
    return kKeys;
}

Edit feature_edit(Edit::Kind kind, const Value& name) {
    Edit edit;
    edit.kind = kind;
    edit.feature = *name.as_text();
    edit.where = name.where;
    return edit;
}

Edit set_edit(const Field& field, const Value& value) {
    Edit edit;
    edit.kind = Edit::Kind::set;
    edit.field = &field;
    edit.value = value;
    edit.where = value.where;
    return edit;
}

// Whether the field takes the value; reports where not.
bool fits(const Field& field, const Value& value, Mistakes& mistakes) {
    Settings ignored;
    const std::size_t before = mistakes.errors();
    field.write(ignored, value, mistakes);
    return mistakes.errors() == before;
}

std::vector<std::vector<Edit>> sweep_alternatives(const Value& sweep, Mistakes& mistakes) {
    std::vector<std::vector<Edit>> result = {{}};
    const std::size_t before = mistakes.errors();
    for (const auto& [field, values, key_where] : read_assignments(sweep, "sweep", mistakes)) {
        const auto* list = values.as_list();
        if (!list || list->empty()) {
            report_unfit(values, "sweep of " + field->path, "a list of values", mistakes);
            continue;
        }
        if (result.size() * list->size() > kMostVariants) {
            mistakes.error(key_where, fmt::format("this factor makes {} x {} variants; expected at most {}",
                                                  result.size(), list->size(), kMostVariants));
            continue;
        }
        std::vector<std::vector<Edit>> product;
        for (const auto& edits : result) {
            for (const auto& value : *list) {
                product.push_back(edits);
                product.back().push_back(set_edit(*field, value));
            }
        }
        for (const auto& value : *list) {
            fits(*field, value, mistakes);
        }
        result = std::move(product);
    }
    return mistakes.errors() == before ? result : std::vector<std::vector<Edit>>{};
}

// leave_one_out, add_each and sweep make several variants; leave_out, add and set together make one.
void read_changes(const ValueTable& table, AblationEntry& result, Mistakes& mistakes) {
    std::vector<std::string> several;
    std::vector<std::string> single;
    std::vector<Edit> edits;
    for (const auto& [key, key_where, value] : table.entries) {
        if (key == "leave_one_out" || key == "add_each") {
            several.push_back(key);
            if (key == "leave_one_out" && value.as_text() && *value.as_text() == "data.features") {
                result.every_feature = true;
                continue;
            }
            const auto kind = key == "add_each" ? Edit::Kind::add : Edit::Kind::leave_out;
            for (const auto& name : read_names(value, key, mistakes)) {
                result.alternatives.push_back({feature_edit(kind, name)});
            }
        } else if (key == "sweep") {
            several.push_back(key);
            for (auto& alternative : sweep_alternatives(value, mistakes)) {
                result.alternatives.push_back(std::move(alternative));
            }
        } else if (key == "leave_out" || key == "add") {
            single.push_back(key);
            const auto kind = key == "add" ? Edit::Kind::add : Edit::Kind::leave_out;
            for (const auto& name : read_names(value, key, mistakes)) {
                edits.push_back(feature_edit(kind, name));
            }
        } else if (key == "set") {
            single.push_back(key);
            for (const auto& [field, set_value, set_where] : read_assignments(value, "set", mistakes)) {
                if (fits(*field, set_value, mistakes)) {
                    edits.push_back(set_edit(*field, set_value));
                }
            }
        }
    }
    if (several.size() + single.size() == 0) {
        mistakes.error(
            result.where,
            "this ablation changes nothing; expected leave_one_out, leave_out, add, add_each, set or sweep");
    } else if (!several.empty() && several.size() + single.size() > 1) {
        auto all = several;
        all.insert(all.end(), single.begin(), single.end());
        mistakes.error(result.where, join_and(all) +
                                         " in one ablation contradict each other: " + several.front() +
                                         " makes variants of its own; expected an [[ablation]] for each");
    }
    if (!edits.empty()) {
        result.alternatives.push_back(std::move(edits));
    }
}

// "duration_ms" -> "duration": column names often end in their unit.
std::string readable_column(std::string name) {
    for (const std::string suffix : {"_ms", "_s", "_db", "_hz", "_bpm"}) {
        if (name.size() > suffix.size() &&
            name.compare(name.size() - suffix.size(), suffix.size(), suffix) == 0) {
            name.resize(name.size() - suffix.size());
            break;
        }
    }
    std::replace(name.begin(), name.end(), '_', ' ');
    return name;
}

struct Phrases {
    std::string name;
    std::string change;
};

Phrases describe(const std::vector<Edit>& edits, const Settings& after) {
    std::vector<std::string> left_out;
    std::vector<std::string> added;
    std::vector<std::string> names;
    std::vector<std::string> changes;
    std::vector<std::string> left_out_columns;
    std::vector<std::string> added_columns;
    for (const auto& edit : edits) {
        if (edit.kind == Edit::Kind::leave_out) {
            left_out.push_back(readable_column(edit.feature));
            left_out_columns.push_back(edit.feature);
        } else if (edit.kind == Edit::Kind::add) {
            added.push_back(readable_column(edit.feature));
            added_columns.push_back(edit.feature);
        }
    }
    if (!left_out.empty()) {
        names.push_back("without " + join_and(left_out));
        changes.push_back("data.features without " + join_and(left_out_columns));
    }
    if (!added.empty()) {
        names.push_back("with " + join_and(added));
        changes.push_back("data.features with " + join_and(added_columns));
    }
    for (const auto& edit : edits) {
        if (edit.kind == Edit::Kind::set) {
            const std::string phrase = edit.field->phrase(after);
            if (std::find(names.begin(), names.end(), phrase) == names.end()) {
                names.push_back(phrase);  // a phrase may speak of several fields
            }
            changes.push_back(edit.field->path + " = " + edit.field->show(after));
        }
    }
    const auto join_all = [](const std::vector<std::string>& parts) {
        std::string text;
        for (const auto& part : parts) {
            text += (text.empty() ? "" : ", ") + part;
        }
        return text;
    };
    return {join_all(names), join_all(changes)};
}

void apply_feature_edit(const Edit& edit, DataConfig& data, Mistakes& mistakes) {
    auto& features = data.features;
    const auto at = std::find(features.begin(), features.end(), edit.feature);
    if (edit.kind == Edit::Kind::add) {
        if (at != features.end()) {
            mistakes.error(edit.where, "feature '" + edit.feature +
                                           "' is already in data.features; expected a column "
                                           "that is not");
        } else if (edit.feature == data.label) {
            mistakes.error(edit.where, "'" + edit.feature +
                                           "' is data.label; a model that reads the answer learns nothing");
        } else {
            features.push_back(edit.feature);
        }
    } else if (at == features.end()) {
        mistakes.unknown_name(
            edit.where, "feature '" + edit.feature + "' is not in data.features, so it cannot be left out",
            edit.feature, features);
    } else if (features.size() == 1) {
        mistakes.error(edit.where,
                       "leaving out '" + edit.feature + "' leaves no feature; expected at least one");
    } else {
        features.erase(at);
    }
}

std::string put_into(std::string pattern, const std::string& generated) {
    if (const std::size_t at = pattern.find("{}"); at != std::string::npos) {
        pattern.replace(at, 2, generated);
    }
    return pattern;
}

}  // namespace

AblationEntry read_ablation(const Value& entry, Mistakes& mistakes) {
    AblationEntry result;
    result.where = entry.where;
    const auto* table = entry.as_table();
    if (!table) {
        report_unfit(entry, "ablation", "a table, [[ablation]]", mistakes);
        return result;
    }
    read_changes(*table, result, mistakes);
    const bool makes_several = result.every_feature || result.alternatives.size() > 1;
    for (const auto& [key, key_where, value] : table->entries) {
        if (std::find(ablation_keys().begin(), ablation_keys().end(), key) == ablation_keys().end()) {
            mistakes.unknown_name(
                key_where,
                "unknown key '" + key + "' in [[ablation]]; expected " + join_alternatives(ablation_keys()),
                key, ablation_keys());
        } else if (key == "seeds") {
            result.seeds = read_seeds(value, mistakes);
        } else if (key == "ranks") {
            const auto* ranks = value.as_integer();
            if (ranks && *ranks >= 1 && *ranks <= 4096) {
                result.ranks = static_cast<int>(*ranks);
            } else {
                report_unfit(value, "ranks", "an integer from 1 to 4096", mistakes);
            }
        } else if (key == "name") {
            const auto* name = value.as_text();
            if (!name || name->empty()) {
                report_unfit(value, "name", "a text", mistakes);
            } else if (makes_several && name->find("{}") == std::string::npos) {
                mistakes.error(value.where,
                               "one name for several variants; expected {} in it, which stands for the "
                               "generated name");
            } else {
                result.name = *name;
            }
        }
    }
    return result;
}

std::vector<Variation> apply_ablation(const AblationEntry& entry, const Settings& settings,
                                      const JobConfig& baseline, Mistakes& mistakes) {
    auto alternatives = entry.alternatives;
    if (entry.every_feature) {
        for (const auto& feature : baseline.data.features) {
            Edit edit;
            edit.kind = Edit::Kind::leave_out;
            edit.feature = feature;
            edit.where = entry.where;
            alternatives.push_back({edit});
        }
    }
    const bool baseline_is_sound =
        find_contradictions(baseline, settings.ranks).empty();  // else reported there
    std::vector<Variation> result;
    for (const auto& edits : alternatives) {
        const std::size_t before = mistakes.errors();
        Settings changed = settings;
        changed.job = baseline;
        for (const auto& edit : edits) {
            if (edit.kind == Edit::Kind::set) {
                edit.field->write(changed, edit.value, mistakes);
            } else {
                apply_feature_edit(edit, changed.job.data, mistakes);
            }
        }
        if (mistakes.errors() != before) {
            continue;
        }
        const auto [name, change] = describe(edits, changed);
        const auto& where = edits.empty() ? entry.where : edits.front().where;
        const int ranks = entry.ranks > 0 ? entry.ranks : settings.ranks;
        if (baseline_is_sound) {
            for (const auto& contradiction : find_contradictions(changed.job, ranks)) {
                mistakes.error(where, "variant '" + name + "': " + contradiction.message);
            }
        }
        if (mistakes.errors() != before) {
            continue;
        }
        result.push_back({entry.name.empty() ? name : put_into(entry.name, name), change,
                          without_unused_fields(changed.job), where});
    }
    return result;
}

}  // namespace orchestrate
