// Which type a value takes that is not of a fixed one: what the schema of studies says of its place.
#include <algorithm>
#include <set>

#include "experiments/fields/schema.h"
#include "experiments/syntax/overrides.h"

namespace orchestrate {
namespace {

using Types = std::set<std::string>;  // JSON Schema's names, and "date"

std::string type_of(const Value& value) {
    return value.as_flag()      ? "boolean"
           : value.as_integer() ? "integer"
           : value.as_text()    ? "string"
           : value.as_date()    ? "date"
           : value.as_list()    ? "array"
           : value.as_table()   ? "object"
                                : "number";
}

bool accepts(const Types& types, const std::string& type) {
    return types.contains(type) || (type == "integer" && types.contains("number"));
}

void fix_type(Value& value, const Types& types) {
    if (value.typing == Typing::fixed) {
        return;
    }
    const bool takes_string = types.contains("string");
    const bool takes_data = accepts(types, type_of(value)) && !value.as_text();
    if (!takes_data && takes_string && !value.written.empty()) {
        value.data = value.written;
    }
    value.typing = Typing::fixed;
}

bool has_open_types(const Value& value) {
    if (const auto* list = value.as_list()) {
        return value.typing != Typing::fixed || std::any_of(list->begin(), list->end(), has_open_types);
    }
    if (const auto* table = value.as_table()) {
        return value.typing != Typing::fixed ||
               std::any_of(table->entries.begin(), table->entries.end(),
                           [](const ValueEntry& entry) { return has_open_types(entry.value); });
    }
    return value.typing != Typing::fixed;
}

// Values that the table of fields and that of keys know.
class SchemaTypes {
  public:
    using Schemas = std::vector<const Json*>;

    Schemas root() const { return {&root_}; }

    Schemas below(const Schemas& schemas, const std::string& key) const {
        Schemas found;
        for (const Json* schema : expanded(schemas)) {
            const auto properties = schema->find("properties");
            const auto others = schema->find("additionalProperties");
            if (properties != schema->end() && properties->contains(key)) {
                found.push_back(&properties->at(key));
            } else if (others != schema->end() && others->is_object()) {
                found.push_back(&*others);
            }
        }
        return found;
    }

    Schemas items(const Schemas& schemas) const {
        Schemas found;
        for (const Json* schema : expanded(schemas)) {
            if (const auto of_items = schema->find("items"); of_items != schema->end()) {
                found.push_back(&*of_items);
            }
        }
        return found;
    }

    Types types(const Schemas& schemas) const {
        Types found;
        for (const Json* schema : expanded(schemas)) {
            if (const auto type = schema->find("type"); type != schema->end()) {
                found.insert(type->get<std::string>());
            }
            for (const auto& item : schema->value("enum", Json::array())) {
                found.insert(item.is_string() ? "string" : item.is_boolean() ? "boolean" : "number");
            }
        }
        return found;
    }

  private:
    // With the alternatives and definitions that they name, "${variable}" aside.
    Schemas expanded(const Schemas& schemas) const {
        Schemas found;
        for (Schemas open = schemas; !open.empty();) {
            const Json* schema = open.back();
            open.pop_back();
            found.push_back(schema);
            if (const auto reference = schema->find("$ref"); reference != schema->end()) {
                const std::string text = reference->get<std::string>();
                const std::string name = text.substr(text.rfind('/') + 1);
                if (name != "variable") {
                    open.push_back(&root_.at("$defs").at(name));
                }
            }
            if (const auto alternatives = schema->find("anyOf"); alternatives != schema->end()) {
                for (const auto& alternative : *alternatives) {
                    open.push_back(&alternative);
                }
            }
        }
        return found;
    }

    static const Json& whole() {
        static const Json kSchema = schema_of_studies();
        return kSchema;
    }

    const Json& root_ = whole();
};

// Where nothing else says a type: an open value is a string.
void fix_alone(Value& value) {
    if (value.typing == Typing::open) {
        value.data = value.written;
    }
    value.typing = Typing::fixed;
    if (auto* list = std::get_if<std::vector<Value>>(&value.data)) {
        std::for_each(list->begin(), list->end(), fix_alone);
    } else if (auto* table = std::get_if<ValueTable>(&value.data)) {
        for (auto& entry : table->entries) {
            fix_alone(entry.value);
        }
    }
}

// The parameters of a command, by example of what the file says.
class ParameterTypes {
  public:
    explicit ParameterTypes(const Value& in_file) : in_file_(in_file) {}

    void fix_section(Value& section) const { fix_section(section, in_file_); }

    // Below `set`, `sweep`, `when` or [search.space]: "parameters.x" or "x", as one key or as nested tables.
    void fix_assignments(Value& value, const std::string& prefix, bool takes_lists) const {
        auto* table = std::get_if<ValueTable>(&value.data);
        if (!table) {
            fix_type(value, {"object"});
            return;
        }
        for (auto& entry : table->entries) {
            const std::string path = prefix + entry.key;
            const Value* example = find(path);
            if (example && !example->as_table()) {
                fix_values(entry.value, *example, takes_lists);
            } else {
                fix_assignments(entry.value, path + ".", takes_lists);
            }
        }
    }

    // [search.space]: a list of choices, or a table with a distribution.
    void fix_space(Value& value, const std::string& prefix) const {
        auto* table = std::get_if<ValueTable>(&value.data);
        for (auto& entry : table ? table->entries : no_entries()) {
            const std::string path = prefix + entry.key;
            const Value* example = find(path);
            if (!example || example->as_table()) {
                fix_space(entry.value, path + ".");
            } else if (auto* distribution = std::get_if<ValueTable>(&entry.value.data)) {
                fix_distribution(*distribution, *example);
            } else {
                fix_values(entry.value, *example, true);
            }
        }
    }

  private:
    const Value* find(std::string path) const {
        if (path.rfind("parameters.", 0) == 0) {
            path.erase(0, path.find('.') + 1);
        }
        const Value* at = &in_file_;
        for (std::size_t begin = 0; at && begin <= path.size();) {
            const std::size_t end = std::min(path.find('.', begin), path.size());
            const auto* table = at->as_table();
            const auto* entry = table ? table->find(path.substr(begin, end - begin)) : nullptr;
            at = entry ? &entry->value : nullptr;
            begin = end + 1;
        }
        return at;
    }

    static Types types_like(const Value& example) {
        if (const auto* list = example.as_list()) {
            Types types;
            for (const auto& item : *list) {
                types.merge(types_like(item));
            }
            return types;
        }
        return example.as_date() ? Types{"date", "string"} : Types{type_of(example)};
    }

    static void fix_section(Value& value, const Value& example) {
        auto* table = std::get_if<ValueTable>(&value.data);
        if (!table || (value.typing != Typing::fixed && !example.as_table())) {
            fix_values(value, example, example.as_list() != nullptr);
            return;
        }
        for (auto& entry : table->entries) {
            const auto* examples = example.as_table();
            if (const auto* found = examples ? examples->find(entry.key) : nullptr) {
                fix_section(entry.value, found->value);
            }
        }
    }

    static void fix_values(Value& value, const Types& types, bool takes_lists) {
        Types all = types;
        if (takes_lists) {
            all.insert("array");
        }
        fix_type(value, all);
        if (auto* list = std::get_if<std::vector<Value>>(&value.data)) {
            for (auto& item : *list) {
                fix_values(item, types, true);
            }
        }
    }

    void fix_distribution(ValueTable& table, const Value& example) const {
        for (auto& entry : table.entries) {
            if (entry.key == "when") {
                fix_assignments(entry.value, "", true);
            } else {
                fix_values(entry.value, entry.key == "choice" ? types_like(example) : Types{"number"}, true);
            }
        }
    }

    static void fix_values(Value& value, const Value& example, bool takes_lists) {
        fix_values(value, types_like(example), takes_lists || example.as_list() != nullptr);
    }

    static std::vector<ValueEntry>& no_entries() {
        static std::vector<ValueEntry> none;
        return none;
    }

    const Value& in_file_;
};

class TypeFixer {
  public:
    TypeFixer(const Value& parameters_in_file, bool is_of_command)
        : parameters_(parameters_in_file), is_of_command_(is_of_command) {}

    void fix(Value& value, const SchemaTypes::Schemas& schemas, const std::string& path) {
        fix_type(value, schema_.types(schemas));
        if (auto* list = std::get_if<std::vector<Value>>(&value.data)) {
            for (auto& item : *list) {
                fix(item, schema_.items(schemas), path);
            }
        } else if (auto* table = std::get_if<ValueTable>(&value.data)) {
            for (auto& entry : table->entries) {
                fix_entry(entry, schemas, path.empty() ? entry.key : path + "." + entry.key);
            }
        }
    }

    SchemaTypes::Schemas root() const { return schema_.root(); }

  private:
    void fix_entry(ValueEntry& entry, const SchemaTypes::Schemas& schemas, const std::string& path) {
        const bool is_ablation = path.rfind("ablation.", 0) == 0;
        if (path == "parameters") {
            parameters_.fix_section(entry.value);
        } else if (is_of_command_ && path == "search.space") {
            parameters_.fix_space(entry.value, "");
        } else if (is_of_command_ && is_ablation && (entry.key == "set" || entry.key == "sweep")) {
            parameters_.fix_assignments(entry.value, "", entry.key == "sweep");
        } else {
            fix(entry.value, schema_.below(schemas, entry.key), path);
        }
    }

    SchemaTypes schema_;
    ParameterTypes parameters_;
    bool is_of_command_;
};

}  // namespace

void fix_types(Value& root, Value& parameters_in_file) {
    fix_alone(parameters_in_file);
    const auto* table = root.as_table();
    if (!table || !has_open_types(root)) {
        return;
    }
    TypeFixer fixer(parameters_in_file, table->find("command") != nullptr);
    fixer.fix(root, fixer.root(), "");
}

}  // namespace orchestrate
