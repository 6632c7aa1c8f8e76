#include "experiments/variables.h"

#include <algorithm>
#include <cstdlib>
#include <map>

#include "experiments/fields.h"

namespace orchestrate {
namespace {

struct Variable {
    Value value;
    SourceSpan where;
    bool is_used = false;
};

// As --set reads it: TOML, or a text where it is none.
Value value_of_text(const std::string& text, const SourceSpan& where) {
    auto source = std::make_shared<SourceText>();
    source->text = "value = " + text;
    Mistakes ignored;
    Value parsed = parse_toml(source, ignored);
    auto* table = std::get_if<ValueTable>(&parsed.data);
    Value value{text, where};
    if (ignored.errors() == 0 && table && table->entries.size() == 1) {
        value.data = table->entries.front().value.data;
    }
    return value;
}

bool is_variable_name(const std::string& name) {
    return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               c == '-';
    });
}

class Replacement {
  public:
    explicit Replacement(Mistakes& mistakes) : mistakes_(mistakes) {}

    void read(const Value& section) {
        const auto* table = section.as_table();
        if (!table) {
            report_unfit(section, "variables", "a table, [variables]", mistakes_);
            return;
        }
        for (const auto& entry : table->entries) {
            if (!is_variable_name(entry.key)) {
                mistakes_.error(entry.key_where, "a variable cannot be named '" + entry.key +
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
                mistakes_.unknown_name(variable.where, message, name, used);
            } else {
                mistakes_.warning(variable.where, message);
            }
        }
    }

  private:
    Value read_value(const ValueEntry& entry) {
        if (!entry.value.as_table()) {
            if (entry.value.as_text() && entry.value.as_text()->find("${") != std::string::npos) {
                mistakes_.error(entry.value.where, "variables do not use each other; expected a plain value");
            }
            return entry.value;
        }
        const auto& table = *entry.value.as_table();
        const auto* name = table.find("environment");
        const auto* given_default = table.find("default");
        const bool has_others = table.entries.size() != (name ? 1U : 0U) + (given_default ? 1U : 0U);
        if (!name || !name->value.as_text() || name->value.as_text()->empty() || has_others) {
            report_unfit(entry.value, "variable '" + entry.key + "'",
                         "a value, or { environment = \"NAME\", default = ... }", mistakes_);
            return entry.value;
        }
        if (const char* text = std::getenv(name->value.as_text()->c_str())) {
            return value_of_text(text, name->value.where);
        }
        if (!given_default) {
            mistakes_.error(name->value.where, "the environment variable " + *name->value.as_text() +
                                                   " is not set and variable '" + entry.key +
                                                   "' has no default; set it, add default = ..., or pass "
                                                   "--set variables." +
                                                   entry.key + "=...");
            return entry.value;
        }
        return given_default->value;
    }

    // The variable of a name; null (reported) if there is none.
    const Value* find(const std::string& name, const SourceSpan& where) {
        const auto found = variables_.find(name);
        if (found == variables_.end()) {
            mistakes_.unknown_name(
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
                value.data = Value(*found).data;
                return;
            }
            if (found) {
                result += found->as_text() ? *found->as_text() : write_inline_toml(*found);
            }
            at = end + 1;
        }
        value.data = std::move(result);
    }

    Mistakes& mistakes_;
    std::map<std::string, Variable> variables_;
    std::vector<std::string> names_;  // in order of the file
};

}  // namespace

bool replace_variables(Value& root, Mistakes& mistakes) {
    auto* table = std::get_if<ValueTable>(&root.data);
    if (!table) {
        return false;
    }
    Replacement replacement(mistakes);
    const auto section = std::find_if(table->entries.begin(), table->entries.end(),
                                      [](const ValueEntry& entry) { return entry.key == "variables"; });
    const bool has_section = section != table->entries.end();
    if (has_section) {
        replacement.read(section->value);
        table->entries.erase(section);
    }
    replacement.replace_in(root);
    replacement.report_unused();
    return has_section;
}

}  // namespace orchestrate
