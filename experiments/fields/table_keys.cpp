#include "experiments/fields/table_keys.h"

#include <algorithm>
#include <stdexcept>

namespace orchestrate {
namespace {

template <class Keep>
std::vector<std::string> names_where(Keep keep) {
    std::vector<std::string> names;
    for (const auto& key : table_keys()) {
        if (keep(key)) {
            names.push_back(key.name);
        }
    }
    return names;
}

}  // namespace

const std::vector<KeyedTable>& keyed_tables() {
    static const std::vector<KeyedTable> kTables = {
        {"ablation", "[[ablation]]", "Rows below the baseline: what is left out, added or set in each."},
        {"ensemble", "[[ensemble]]", "A row that is not trained: it combines the predictions of others."},
        {"stages", "[stages.NAME]", "A stage after the search and the ablation."},
        {"search.space", "an entry of [search.space]", "What a field is drawn from; a list is its `choice`."},
        {"include", "include", "A file or a list of files to start from; this one's values win."},
        {"variables", "[variables]",
         "Values with a name, used as \"${name}\"; { environment = \"NAME\", default = ... } reads the "
         "environment."},
        {"parameters", "[parameters]",
         "What a command is given and a search or an ablation may change, by name. Types are those of the "
         "values here."},
    };
    return kTables;
}

const std::vector<TableKey>& table_keys() {
    using enum KeyRole;
    constexpr const char* kNames = "name or list of names";
    constexpr const char* kFeatures = "name, list of names, or \"data.features\"";
    static const std::vector<TableKey> kKeys = {
        {"ablation", "leave_one_out", several, "list of names, \"data.features\", or the name of a list",
         "One variant without each: of the features, of the encoder layers in `model.kept_layers`, or of a "
         "command's "
         "parameter that is a list.",
         "leave_one_out = \"data.features\""},
        {"ablation", "leave_pairs_out", several, kFeatures, "One variant without each two of these features.",
         "leave_pairs_out = [\"energy\", \"tempo\", \"valence\"]"},
        {"ablation", "leave_groups_out", several, "table of names or lists of names",
         "One variant without each named group of features.",
         "leave_groups_out = { sound = [\"energy\", \"tempo\"], mood = \"valence\" }"},
        {"ablation", "leave_subsets_out", several, "table with size, and perhaps of, count and seed",
         "One variant without each subset of so many features: `count` random ones drawn by `seed`, or all.",
         "leave_subsets_out = { of = \"data.features\", size = 2, count = 2, seed = 1 }"},
        {"ablation", "keep_one", several, "list of names, \"data.features\", or the name of a list",
         "One variant with each of these alone.", "keep_one = \"data.features\""},
        {"ablation", "add_each", several, kNames, "One variant with each of these columns as well.",
         "add_each = [\"explicit\", \"duration_ms\"]"},
        {"ablation", "sweep", several, "table of fields with lists of values",
         "One variant for each value; of two fields every combination.",
         "sweep = { model.head_width = [64, 16] }"},
        {"ablation", "variants", several, "table of tables",
         "Variants by name, each with what leave_out, keep_only, add and set say of it.",
         "variants = { \"small\" = { set = { model.hidden_size = 32 } } }"},
        {"ablation", "cross", several, "list of at least two tables",
         "Every combination of these, each written as an [[ablation]] of its own would be.",
         "cross = [{ leave_one_out = \"data.features\" }, { sweep = { model.head_width = [64, 16] } }]"},
        {"ablation", "leave_out", together, kNames, "One variant without all of these features.",
         "leave_out = [\"energy\", \"valence\"]"},
        {"ablation", "keep_only", together, kNames, "One variant with these features alone.",
         "keep_only = [\"energy\", \"tempo\"]"},
        {"ablation", "add", together, kNames, "One variant with all of these columns as well.",
         "add = \"duration_ms\""},
        {"ablation", "set", together, "table of fields with values",
         "One variant with these values. Fields that may vary can be set.",
         "set = { model.head_width = \"none\" }"},
        {"ablation", "name", other, "text",
         "The row's name instead of the generated one, which {} in it stands for.", "name = \"{} (again)\""},
        {"ablation", "names", other, "table of texts", "Names instead of generated ones, one by one.",
         "names = { \"without energy\" = \"no energy\" }"},
        {"ablation", "seeds", other, "integer, list of integers, or table",
         "Instead of `study.seeds`, for these rows.", "seeds = [1, 2, 3]"},
        {"ablation", "ranks", other, "integer", "Instead of `study.ranks`, for these rows.", "ranks = 2"},
        {"ablation", "stage", other, "name of a stage", "The stage of [stages] whose rows these are.",
         "stage = \"widths\""},

        {"ensemble", "members", other, "list of names, or \"best N of STAGE by ...\"",
         "Whose predictions are combined: rows of this stage or of an earlier one, by name or by rank. "
         "Required.",
         "members = \"best 5 of search by validation macro_f1\""},
        {"ensemble", "combine", other, "\"mean\" or \"vote\"",
         "The class with the highest mean probability (default), or with the most votes.",
         "combine = \"vote\""},
        {"ensemble", "across_seeds", other, "boolean",
         "All seeds of the members together make one prediction. Default: each seed its own.",
         "across_seeds = true"},
        {"ensemble", "stage", other, "name of a stage",
         "In whose table it stands. Default: that of its members.", "stage = \"ablation\""},
        {"ensemble", "name", other, "text", "The row's name instead of the generated one.",
         "name = \"best five\""},

        {"stages", "baseline", other, "\"the file\" or \"best of STAGE by ...\"",
         "What its variants start from. Default: the best of the search, or the file.",
         "baseline = \"best of search by validation accuracy\""},
        {"stages", "rows", other, "\"top N of STAGE by ...\" or \"significant of STAGE\"",
         "Rows of an earlier stage, with which each of this stage's ablations is crossed.",
         "rows = \"top 2 of ablation by validation macro_f1\""},

        {"search.space", "choice", other, "list of values", "One of these, each as likely.",
         "train.batch_size = { choice = [16, 32] }"},
        {"search.space", "uniform", other, "[low, high]", "Any number between, each as likely.",
         "train.weight_decay = { uniform = [0.0, 0.1] }"},
        {"search.space", "log_uniform", other, "[low, high]",
         "Any number between, each order of magnitude as likely. Both ends are positive.",
         "train.learning_rate = { log_uniform = [1e-5, 1e-3] }"},
        {"search.space", "integer", other, "[low, high]", "A whole number, both ends included.",
         "model.num_hidden_layers = { integer = [2, 6] }"},
        {"search.space", "step", other, "number",
         "Rounds what is drawn to the lowest value plus a multiple of it.",
         "model.head_width = { integer = [16, 128], step = 16 }"},
        {"search.space", "when", other, "table of fields with a value or a list",
         "Drawn only in trials where those fields have such values; otherwise the file's value stays.",
         "train.warmup_ratio = { uniform = [0.0, 0.2], when = { train.learning_rate_schedule = \"linear\" } "
         "}"},
    };
    return kKeys;
}

const KeyedTable& keyed_table(const std::string& name) {
    const auto found = std::find_if(keyed_tables().begin(), keyed_tables().end(),
                                    [&](const KeyedTable& table) { return table.name == name; });
    if (found == keyed_tables().end()) {
        throw std::out_of_range("no table '" + name + "'");
    }
    return *found;
}

std::vector<std::string> keys_of(const std::string& table) {
    return names_where([&](const TableKey& key) { return key.table == table; });
}

std::vector<std::string> keys_of(const std::string& table, KeyRole role) {
    return names_where([&](const TableKey& key) { return key.table == table && key.role == role; });
}

const TableKey& table_key(const std::string& table, const std::string& name) {
    const auto found = std::find_if(table_keys().begin(), table_keys().end(), [&](const TableKey& key) {
        return key.table == table && key.name == name;
    });
    if (found == table_keys().end()) {
        throw std::out_of_range("no key '" + table + "." + name + "'");
    }
    return *found;
}

}  // namespace orchestrate
