#include "experiments/expansion/ablation.h"

#include <algorithm>

#include <fmt/format.h>

#include "experiments/expansion/ablation_names.h"
#include "experiments/fields/table_keys.h"

namespace orchestrate {
namespace {

const std::vector<std::string> kSeveral = keys_of("ablation", KeyRole::several);
const std::vector<std::string> kTogether = keys_of("ablation", KeyRole::together);
const std::vector<std::string> kAbout = keys_of("ablation", KeyRole::other);

bool contains(const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

Edit feature_edit(Edit::Kind kind, const Value& name) {
    Edit edit;
    edit.kind = kind;
    edit.features = {*name.as_text()};
    edit.where = name.where;
    return edit;
}

Edit set_edit(const Field& field, const Value& value) {
    Edit edit;
    edit.field = &field;
    edit.value = value;
    edit.where = value.where;
    return edit;
}

// Whether the field takes the value; reports where not.
bool fits(const Field& field, const Value& value, Diagnostics& diagnostics) {
    Settings ignored;
    const std::size_t before = diagnostics.errors();
    field.write(ignored, value, diagnostics);
    return diagnostics.errors() == before;
}

bool is_every_feature(const Value& value) {
    return value.as_text() && *value.as_text() == "data.features";
}

// The edits of one variant: leave_out, keep_only, add and set.
std::vector<Edit> read_edits(const ValueTable& table, const NameableFields& fields,
                             Diagnostics& diagnostics) {
    std::vector<Edit> edits;
    for (const auto& [key, key_where, value] : table.entries) {
        if (key == "leave_out" || key == "add") {
            const auto kind = key == "add" ? Edit::Kind::add : Edit::Kind::leave_out;
            for (const auto& name : read_names(value, key, diagnostics)) {
                edits.push_back(feature_edit(kind, name));
            }
        } else if (key == "keep_only") {
            Edit edit;
            edit.kind = Edit::Kind::keep_only;
            edit.where = value.where;
            for (const auto& name : read_names(value, key, diagnostics)) {
                edit.features.push_back(*name.as_text());
            }
            edits.push_back(std::move(edit));
        } else if (key == "set") {
            for (const auto& [field, set_value, set_where] :
                 read_assignments(value, "set", fields, diagnostics)) {
                if (fits(*field, set_value, diagnostics)) {
                    edits.push_back(set_edit(*field, set_value));
                }
            }
        }
    }
    return edits;
}

class FactorReader {
  public:
    FactorReader(const std::vector<std::string>& other_keys, const NameableFields& fields,
                 Diagnostics& diagnostics)
        : other_keys_(other_keys), fields_(fields), diagnostics_(diagnostics) {}

    // The factors that a table stands for: those of one key of kSeveral, or one of a single variant.
    std::vector<Factor> read(const ValueTable& table, const SourceSpan& where) {
        std::vector<std::string> several;
        std::vector<std::string> together;
        const std::size_t before = diagnostics_.errors();
        for (const auto& entry : table.entries) {
            if (contains(kSeveral, entry.key)) {
                several.push_back(entry.key);
            } else if (contains(kTogether, entry.key)) {
                together.push_back(entry.key);
            } else if (!contains(other_keys_, entry.key)) {
                report_unknown_key(entry);
            }
        }
        if (diagnostics_.errors() == before) {
            check_keys(several, together, where);
        }
        if (fields_.is_of_command() && !check_keys_of_command(table)) {
            return {};
        }
        std::vector<Factor> factors;
        for (const auto& entry : table.entries) {
            for (auto& factor : read_several(entry)) {
                factors.push_back(std::move(factor));
            }
        }
        if (auto edits = read_edits(table, fields_, diagnostics_); !edits.empty()) {
            Factor factor;
            factor.key = together.front();
            factor.where = where;
            factor.alternatives = {{"", std::move(edits)}};
            factors.push_back(std::move(factor));
        }
        return factors;
    }

  private:
    void report_unknown_key(const ValueEntry& entry) {
        std::vector<std::string> keys = kSeveral;
        keys.insert(keys.end(), kTogether.begin(), kTogether.end());
        keys.insert(keys.end(), other_keys_.begin(), other_keys_.end());
        diagnostics_.unknown_name(
            entry.key_where,
            "unknown key '" + entry.key + "' in [[ablation]]; expected " + join_alternatives(keys), entry.key,
            keys);
    }

    // What changes data.features says nothing to a command.
    bool check_keys_of_command(const ValueTable& table) {
        const std::size_t before = diagnostics_.errors();
        static const std::vector<std::string> kOfFeatures = {"leave_pairs_out",
                                                             "leave_groups_out",
                                                             "leave_subsets_out",
                                                             "add_each",
                                                             "leave_out",
                                                             "keep_only",
                                                             "add"};
        for (const auto& entry : table.entries) {
            if (contains(kOfFeatures, entry.key)) {
                diagnostics_.error(entry.key_where,
                                   entry.key +
                                       " is of data.features, which a command has not; expected set, sweep, "
                                       "variants, cross, or leave_one_out or keep_one of a parameter that is "
                                       "a list");
            }
        }
        return diagnostics_.errors() == before;
    }

    // The items of a parameter that is a list.
    void read_items(const Value& value, Factor& factor) {
        const auto* name = value.as_text();
        const Field* field = name ? fields_.find(*name) : nullptr;
        if (name && !field) {
            fields_.report_unknown(value.where, *name, diagnostics_);
        } else if (!field || field->type.rfind("list", 0) != 0) {
            report_unfit(value, factor.key, "the name of a parameter that is a list", diagnostics_);
        }
        factor.kind = factor.key == "keep_one" ? Factor::Kind::keep_one_item : Factor::Kind::leave_items_out;
        factor.list = field;
    }

    void check_keys(const std::vector<std::string>& several, const std::vector<std::string>& together,
                    const SourceSpan& where) {
        if (several.empty() && together.empty()) {
            auto keys = kSeveral;
            keys.insert(keys.end(), kTogether.begin(), kTogether.end());
            diagnostics_.error(where, "this ablation changes nothing; expected " + join_alternatives(keys));
        } else if (!several.empty() && several.size() + together.size() > 1) {
            auto all = several;
            all.insert(all.end(), together.begin(), together.end());
            diagnostics_.error(where, join_and(all) +
                                          " in one ablation contradict each other: " + several.front() +
                                          " makes variants of its own; expected an [[ablation]] for each, or "
                                          "cross = [{ ... }, { ... }] for every combination");
        }
    }

    std::vector<Factor> read_several(const ValueEntry& entry) {
        const auto& value = entry.value;
        if (entry.key == "sweep") {
            return read_sweep(value);
        }
        if (entry.key == "cross") {
            return read_cross(value);
        }
        const std::size_t before = diagnostics_.errors();
        Factor factor;
        factor.key = entry.key;
        factor.where = value.where;
        if (entry.key == "leave_one_out" && value.as_text() && *value.as_text() == "model.kept_layers") {
            factor.kind = Factor::Kind::leave_layers_out;
        } else if (entry.key == "leave_one_out" || entry.key == "keep_one") {
            fields_.is_of_command() ? read_items(value, factor) : read_one_each(value, factor);
        } else if (entry.key == "add_each") {
            add_one_each(Edit::Kind::add, value, factor);
        } else if (entry.key == "leave_pairs_out") {
            factor.kind = Factor::Kind::subsets;
            factor.size = 2;
            read_features(value, factor);
        } else if (entry.key == "leave_subsets_out") {
            read_subsets(value, factor);
        } else if (entry.key == "leave_groups_out") {
            read_groups(value, factor);
        } else if (entry.key == "variants") {
            read_variants(value, factor);
        } else {
            return {};
        }
        if (diagnostics_.errors() != before) {
            return {};  // what is left of it would only make further errors
        }
        return {std::move(factor)};
    }

    void add_one_each(Edit::Kind kind, const Value& value, Factor& factor) {
        for (const auto& name : read_names(value, factor.key, diagnostics_)) {
            factor.alternatives.push_back({"", {feature_edit(kind, name)}});
        }
    }

    void read_one_each(const Value& value, Factor& factor) {
        const bool keeps = factor.key == "keep_one";
        if (is_every_feature(value)) {
            factor.kind = keeps ? Factor::Kind::keep_one : Factor::Kind::subsets;
            factor.every_feature = true;
        } else {
            add_one_each(keeps ? Edit::Kind::keep_only : Edit::Kind::leave_out, value, factor);
        }
    }

    void read_features(const Value& value, Factor& factor) {
        factor.every_feature = is_every_feature(value);
        if (!factor.every_feature) {
            for (const auto& name : read_names(value, factor.key, diagnostics_)) {
                factor.features.push_back(*name.as_text());
            }
        }
    }

    void read_subsets(const Value& value, Factor& factor) {
        factor.kind = Factor::Kind::subsets;
        const std::vector<std::string> keys = {"of", "size", "count", "seed"};
        const auto* table = value.as_table();
        const auto* size = table ? table->find("size") : nullptr;
        if (!table || !size) {
            report_unfit(value, factor.key,
                         "{ of = \"data.features\", size = 3 }, and perhaps count and seed", diagnostics_);
            return;
        }
        factor.every_feature = true;
        for (const auto& [key, key_where, part] : table->entries) {
            const auto* number = part.as_integer();
            if (!contains(keys, key)) {
                diagnostics_.unknown_name(
                    key_where,
                    "unknown key '" + key + "' of " + factor.key + "; expected " + join_alternatives(keys),
                    key, keys);
            } else if (key == "of") {
                read_features(part, factor);
            } else if (!number || *number < (key == "seed" ? 0 : 1) || *number > 1'000'000'000) {
                report_unfit(part, key, key == "seed" ? "an integer of at least 0" : "an integer above 0",
                             diagnostics_);
            } else if (key == "size") {
                factor.size = *number;
            } else if (key == "count") {
                factor.count = *number;
            } else {
                factor.seed = static_cast<std::uint64_t>(*number);
            }
        }
    }

    void read_groups(const Value& value, Factor& factor) {
        const auto* groups = value.as_table();
        if (!groups || groups->entries.empty()) {
            report_unfit(value, factor.key, "named groups, e.g. { sound = [\"energy\", \"loudness\"] }",
                         diagnostics_);
            return;
        }
        for (const auto& [name, name_where, features] : groups->entries) {
            Alternative alternative;
            alternative.name = "without " + name;
            for (const auto& feature : read_names(features, "group '" + name + "'", diagnostics_)) {
                alternative.edits.push_back(feature_edit(Edit::Kind::leave_out, feature));
            }
            factor.alternatives.push_back(std::move(alternative));
        }
    }

    void read_variants(const Value& value, Factor& factor) {
        const auto* variants = value.as_table();
        if (!variants || variants->entries.empty()) {
            report_unfit(value, factor.key,
                         "variants by name, e.g. { \"small and slow\" = { set = { ... } } }", diagnostics_);
            return;
        }
        for (const auto& [name, name_where, changes] : variants->entries) {
            const auto* table = changes.as_table();
            const auto* unknown = table ? find_unknown(*table) : nullptr;
            check_shown_name(name, name_where, "the name of a variant", diagnostics_);
            if (!table || table->entries.empty()) {
                report_unfit(changes, "variant '" + name + "'",
                             "a table with " + join_alternatives(kTogether), diagnostics_);
            } else if (unknown) {
                diagnostics_.unknown_name(unknown->key_where,
                                          "unknown key '" + unknown->key + "' of variant '" + name +
                                              "'; expected " + join_alternatives(kTogether),
                                          unknown->key, kTogether);
            } else {
                factor.alternatives.push_back({name, read_edits(*table, fields_, diagnostics_)});
            }
        }
    }

    static const ValueEntry* find_unknown(const ValueTable& table) {
        const auto found = std::find_if(table.entries.begin(), table.entries.end(),
                                        [](const auto& entry) { return !contains(kTogether, entry.key); });
        return found == table.entries.end() ? nullptr : &*found;
    }

    // One factor for each field.
    std::vector<Factor> read_sweep(const Value& sweep) {
        std::vector<Factor> factors;
        std::size_t product = 1;
        const std::size_t before = diagnostics_.errors();
        for (const auto& [field, values, key_where] :
             read_assignments(sweep, "sweep", fields_, diagnostics_)) {
            const auto* list = values.as_list();
            if (!list || list->empty()) {
                report_unfit(values, "sweep of " + field->path, "a list of values", diagnostics_);
                continue;
            }
            if (product * list->size() > kMaxVariants) {
                diagnostics_.error(key_where,
                                   fmt::format("the factor {} makes {} x {} variants; expected at most {}",
                                               field->path, product, list->size(), kMaxVariants));
                continue;
            }
            product *= list->size();
            Factor factor;
            factor.key = field->path;
            factor.where = key_where;
            for (const auto& value : *list) {
                if (fits(*field, value, diagnostics_)) {
                    factor.alternatives.push_back({"", {set_edit(*field, value)}});
                }
            }
            factors.push_back(std::move(factor));
        }
        return diagnostics_.errors() == before ? factors : std::vector<Factor>{};
    }

    std::vector<Factor> read_cross(const Value& value) {
        const auto* list = value.as_list();
        if (!list || list->size() < 2) {
            report_unfit(value, "cross",
                         "a list of at least two, e.g. [{ leave_one_out = \"data.features\" }, { sweep = "
                         "{ ... } }]",
                         diagnostics_);
            return {};
        }
        std::vector<Factor> factors;
        const std::vector<std::string> none;
        for (const auto& item : *list) {
            if (const auto* table = item.as_table()) {
                for (auto& factor : FactorReader(none, fields_, diagnostics_).read(*table, item.where)) {
                    factors.push_back(std::move(factor));
                }
            } else {
                report_unfit(item, "a factor of cross",
                             "a table such as { leave_one_out = \"data.features\" }", diagnostics_);
            }
        }
        return factors;
    }

    const std::vector<std::string>& other_keys_;
    const NameableFields& fields_;
    Diagnostics& diagnostics_;
};

bool makes_several(const std::vector<Factor>& factors) {
    return std::any_of(factors.begin(), factors.end(), [](const Factor& factor) {
        return factor.kind != Factor::Kind::fixed || factor.alternatives.size() > 1;
    });
}

void read_new_names(const Value& value, AblationEntry& result, Diagnostics& diagnostics) {
    const auto* table = value.as_table();
    if (!table) {
        report_unfit(value, "names", "a table, { \"generated name\" = \"name to show\" }", diagnostics);
        return;
    }
    for (const auto& [generated, generated_where, shown] : table->entries) {
        if (shown.as_text() && !shown.as_text()->empty()) {
            check_shown_name(*shown.as_text(), shown.where, "the name of '" + generated + "'", diagnostics);
            result.names[generated] = {*shown.as_text(), generated_where};
        } else {
            report_unfit(shown, "the name of '" + generated + "'", "a text", diagnostics);
        }
    }
}

void read_about(const ValueTable& table, AblationEntry& result, Diagnostics& diagnostics) {
    for (const auto& [key, key_where, value] : table.entries) {
        if (key == "seeds") {
            result.seeds = read_seeds(value, diagnostics);
        } else if (key == "stage") {
            if (value.as_text()) {
                result.stage = *value.as_text();
                result.stage_where = value.where;
            } else {
                report_unfit(value, "stage", "the name of a stage, [stages.NAME]", diagnostics);
            }
        } else if (key == "names") {
            read_new_names(value, result, diagnostics);
        } else if (key == "ranks") {
            const auto* ranks = value.as_integer();
            if (ranks && *ranks >= 1 && *ranks <= 4096) {
                result.ranks = static_cast<int>(*ranks);
            } else {
                report_unfit(value, "ranks", "an integer from 1 to 4096", diagnostics);
            }
        } else if (key == "name") {
            const auto* name = value.as_text();
            if (!name || name->empty()) {
                report_unfit(value, "name", "a text", diagnostics);
            } else if (!check_shown_name(*name, value.where, "name", diagnostics)) {
                continue;
            } else if (makes_several(result.factors) && name->find("{}") == std::string::npos) {
                diagnostics.error(value.where,
                                  "one name for several variants; expected {} in it, which stands for the "
                                  "generated name, or names = { \"generated name\" = \"...\" }");
            } else {
                result.name = *name;
            }
        }
    }
}

}  // namespace

AblationEntry read_ablation(const Value& entry, const NameableFields& fields, Diagnostics& diagnostics) {
    AblationEntry result;
    result.where = entry.where;
    if (const auto* table = entry.as_table()) {
        result.factors = FactorReader(kAbout, fields, diagnostics).read(*table, entry.where);
        read_about(*table, result, diagnostics);
    } else {
        report_unfit(entry, "ablation", "a table, [[ablation]]", diagnostics);
    }
    return result;
}

}  // namespace orchestrate
