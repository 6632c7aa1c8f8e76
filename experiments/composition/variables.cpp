#include "experiments/composition/variables.h"

#include <algorithm>
#include <cstdlib>
#include <map>

#include "common/base/unicode.h"
#include "experiments/fields/fields.h"
#include "experiments/syntax/escaped_text.h"
#include "experiments/syntax/overrides.h"

namespace orchestrate {
namespace {

struct Variable {
    Value value;
    SourceSpan where;
    bool is_used = false;
};

bool is_variable_name(const std::string& name) {
    return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               c == '-';
    });
}

class Replacement {
  public:
    Replacement(const Value& in_file, Diagnostics& diagnostics)
        : in_file_(in_file), diagnostics_(&diagnostics) {}

    void read(const Value& section) {
        const auto* table = section.as_table();
        if (!table) {
            report_unfit(section, "variables", "a table, [variables]", *diagnostics_);
            return;
        }
        for (const auto& entry : table->entries) {
            if (!is_variable_name(entry.key)) {
                diagnostics_->error(entry.key_where, "a variable cannot be named '" + entry.key +
                                                         "'; expected letters, digits, '_' and '-'");
                continue;
            }
            names_.push_back(entry.key);
            variables_[entry.key] = {read_value(entry), entry.key_where, false};
        }
    }

    void replace_in(Value& value) {
        if (auto* text = std::get_if<std::string>(&value.data)) {
            replace_in_text(*text, value);
        } else if (auto* list = std::get_if<std::vector<Value>>(&value.data)) {
            for (auto& item : *list) {
                replace_in(item);
            }
        } else if (auto* table = std::get_if<ValueTable>(&value.data)) {
            for (auto& entry : table->entries) {
                replace_in(entry.value);
            }
        }
    }

    void report_to(Diagnostics& diagnostics) { diagnostics_ = &diagnostics; }

    void report_unused() {
        for (const auto& name : names_) {
            const auto& variable = variables_.at(name);
            if (variable.is_used) {
                continue;
            }
            std::vector<std::string> used;
            for (const auto& [other, other_variable] : variables_) {
                if (other_variable.is_used) {
                    used.push_back(other);
                }
            }
            const std::string message =
                "variable '" + name + "' is used nowhere; expected \"${" + name + "}\" in some value";
            if (variable.where.source && variable.where.source->is_command_line) {
                diagnostics_->unknown_name(variable.where, message, name, used);
            } else {
                diagnostics_->warning(variable.where, message);
            }
        }
    }

  private:
    Value read_value(const ValueEntry& entry) {
        Value value = read_given(entry);
        if (value.typing == Typing::fixed && !value.as_text() && !value.as_list() && !value.as_table()) {
            value.typing = Typing::preferred;
        }
        return value;
    }

    Value read_given(const ValueEntry& entry) {
        const std::string name = "variable '" + entry.key + "'";
        if (!entry.value.as_table()) {
            if (entry.value.as_text() && entry.value.as_text()->find("${") != std::string::npos) {
                diagnostics_->error(entry.value.where,
                                    "variables do not use each other; expected a plain value");
            }
            const Value* in_file = value_in_file(entry.key);
            return in_file ? of_same_type(entry.value, *in_file, name, *diagnostics_) : entry.value;
        }
        const auto& table = *entry.value.as_table();
        const auto* environment = table.find("environment");
        const auto* given_default = table.find("default");
        const bool has_others = table.entries.size() != (environment ? 1U : 0U) + (given_default ? 1U : 0U);
        if (!environment || !environment->value.as_text() || environment->value.as_text()->empty() ||
            has_others) {
            report_unfit(entry.value, name, "a value, or { environment = \"NAME\", default = ... }",
                         *diagnostics_);
            return entry.value;
        }
        return read_environment(*environment->value.as_text(), environment->value.where,
                                given_default ? &given_default->value : nullptr, entry);
    }

    Value read_environment(const std::string& name, const SourceSpan& where, const Value* given_default,
                           const ValueEntry& entry) {
        const char* text = std::getenv(name.c_str());
        if (text && !is_valid_utf8(text)) {
            diagnostics_->error(where, "the environment variable " + name + " is '" + escaped_text(text) +
                                           "', which is not UTF-8; expected UTF-8");
        } else if (text) {
            const Value value = value_of_characters(text, where, false);
            return given_default ? of_same_type(value, *given_default, "the environment variable " + name,
                                                *diagnostics_)
                                 : value;
        } else if (given_default) {
            return *given_default;
        } else {
            diagnostics_->error(where, "the environment variable " + name + " is not set and variable '" +
                                           entry.key +
                                           "' has no default; set it, add default = ..., or pass "
                                           "--set variables." +
                                           entry.key + "=...");
        }
        return entry.value;
    }

    // What the file says of a variable, or the default of its environment variable; null if it does not.
    const Value* value_in_file(const std::string& name) const {
        const auto* table = in_file_.as_table();
        const auto* entry = table ? table->find(name) : nullptr;
        if (!entry || !entry->value.as_table()) {
            return entry ? &entry->value : nullptr;
        }
        const auto* given_default = entry->value.as_table()->find("default");
        return given_default ? &given_default->value : nullptr;
    }

    // The variable of a name; null (reported) if there is none.
    const Value* find(const std::string& name, const SourceSpan& where) {
        const auto found = variables_.find(name);
        if (found == variables_.end()) {
            diagnostics_->unknown_name(
                where,
                "there is no variable '" + name +
                    "' in [variables]; expected one that is, or \"$${\" for the characters "
                    "\"${\" themselves",
                name, names_);
            return nullptr;
        }
        found->second.is_used = true;
        return &found->second.value;
    }

    void replace_in_text(const std::string& text, Value& value) {
        std::string result;
        std::size_t at = 0;
        while (at < text.size()) {
            const std::size_t begin = text.find("${", at);
            const std::size_t end = begin == std::string::npos ? begin : text.find('}', begin);
            if (end == std::string::npos) {
                result += text.substr(at);
                break;
            }
            if (begin > at && text[begin - 1] == '$') {
                result += text.substr(at, begin - 1 - at) + "${";
                at = begin + 2;
                continue;
            }
            result += text.substr(at, begin - at);
            const Value* found = find(text.substr(begin + 2, end - begin - 2), value.where);
            if (found && begin == 0 && end + 1 == text.size()) {
                const SourceSpan where = value.where;
                value = Value(*found);
                value.where = where;
                return;
            }
            if (found) {
                result += characters_of(*found);
            }
            at = end + 1;
        }
        value.written = value.typing == Typing::open ? result : std::string();
        value.data = std::move(result);
    }

    static std::string characters_of(const Value& value) {
        return !value.written.empty() ? value.written
               : value.as_text()      ? *value.as_text()
                                      : write_inline_toml(value);
    }

    const Value& in_file_;
    Diagnostics* diagnostics_;
    std::map<std::string, Variable> variables_;
    std::vector<std::string> names_;  // in order of the file
};

}  // namespace

bool replace_variables(Value& root, const Value& variables_in_file, Value& parameters_in_file,
                       Diagnostics& diagnostics) {
    auto* table = std::get_if<ValueTable>(&root.data);
    if (!table) {
        return false;
    }
    Replacement replacement(variables_in_file, diagnostics);
    const auto section = std::find_if(table->entries.begin(), table->entries.end(),
                                      [](const ValueEntry& entry) { return entry.key == "variables"; });
    const bool has_section = section != table->entries.end();
    if (has_section) {
        replacement.read(section->value);
        table->entries.erase(section);
    }
    replacement.replace_in(root);
    replacement.report_unused();
    Diagnostics reported_in_root;
    replacement.report_to(reported_in_root);
    replacement.replace_in(parameters_in_file);
    return has_section;
}

}  // namespace orchestrate
