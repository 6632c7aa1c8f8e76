#include "experiments/syntax/overrides.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "common/base/unicode.h"
#include "experiments/syntax/escaped_text.h"

namespace orchestrate {
namespace {

// The parts of a dotted key; one in quotes is a part with all its characters.
std::vector<std::string> split_dotted(std::string_view key) {
    std::vector<std::string> parts(1);
    char quote = 0;
    for (const char c : key) {
        if (quote != 0 || c == '"' || c == '\'') {
            if (quote == 0) {
                quote = c;
            } else if (c == quote) {
                quote = 0;
            } else {
                parts.back() += c;
            }
        } else if (c == '.') {
            parts.emplace_back();
        } else if (c != ' ') {
            parts.back() += c;
        }
    }
    return parts;
}

// Where the key ends: the first "=" outside quotes.
std::size_t end_of_key(const std::string& text) {
    char quote = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (quote != 0) {
            quote = c == quote ? '\0' : quote;
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == '=') {
            return i;
        }
    }
    return std::string::npos;
}

// Reports through whom the way to a key leads that is not a table.
void put(Value& root, const std::vector<std::string>& parts, const SourceSpan& key_where,
         const std::string& key, Value value, Diagnostics& diagnostics) {
    Value* at = &root;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        auto* table = std::get_if<ValueTable>(&at->data);
        if (!table) {
            diagnostics.error(
                key_where,
                fmt::format("cannot set '{}': '{}' is no table; change it in the file", key, parts[i - 1]));
            return;
        }
        auto found = std::find_if(table->entries.begin(), table->entries.end(),
                                  [&](const ValueEntry& entry) { return entry.key == parts[i]; });
        if (found == table->entries.end()) {
            table->entries.push_back({parts[i], key_where, Value{ValueTable{}, key_where}});
            found = table->entries.end() - 1;
        }
        if (i + 1 == parts.size()) {
            found->key_where = key_where;
            found->value = std::move(value);
            return;
        }
        at = &found->value;
    }
}

std::string type_of(const Value& example) {
    return example.as_flag()      ? "true or false"
           : example.as_integer() ? "an integer"
           : example.as_list()    ? "a list"
                                  : "a number";
}

class CharacterCheck {
  public:
    explicit CharacterCheck(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

    void check(const Value& value, const std::string& path) {
        if (const auto* table = value.as_table()) {
            for (const auto& entry : table->entries) {
                if (has_control_characters(entry.key)) {
                    diagnostics_.error(entry.key_where,
                                       "the name '" + escaped_text(entry.key) +
                                           "' holds a control character; expected a name in one line");
                }
                check(entry.value, path.empty() ? entry.key : path + "." + entry.key);
            }
        } else if (const auto* list = value.as_list()) {
            for (const auto& item : *list) {
                check(item, path);
            }
        } else if (const auto* text = value.as_text()) {
            check_text(*text, value, path);
        }
    }

  private:
    void check_text(const std::string& text, const Value& value, const std::string& path) {
        if (text.find('\0') != std::string::npos) {
            diagnostics_.error(value.where,
                               path + " is '" + escaped_text(text) +
                                   "', which holds the character NUL (\\u0000); expected a string "
                                   "without it, since neither an argument of a program nor a file "
                                   "name can hold it");
        } else if (is_name(path) && has_control_characters(text)) {
            diagnostics_.error(value.where, path + " is '" + escaped_text(text) +
                                                "', which holds a control character; expected a name in one "
                                                "line");
        }
    }

    static bool is_name(const std::string& path) {
        const auto begins_with = [&](const std::string& start) { return path.rfind(start, 0) == 0; };
        return path == "study.name" || path == "ablation.name" || path == "ensemble.name" ||
               begins_with("ablation.names.") || begins_with("command.metrics");
    }

    Diagnostics& diagnostics_;
};

}  // namespace

void apply_override(Value& root, const std::string& override_text, Diagnostics& diagnostics) {
    const bool is_text = is_valid_utf8(override_text);
    const auto source = std::make_shared<SourceText>(
        SourceText{"command line", std::filesystem::current_path(), escaped_text(override_text), true});
    if (!is_text) {
        diagnostics.error({source, 1, 1, 1'000'000}, "this is not UTF-8; expected key=value in UTF-8");
        return;
    }
    const std::size_t equals = end_of_key(override_text);
    if (equals == std::string::npos || equals == 0) {
        diagnostics.error(
            {source, 1, 1, 1'000'000},
            "'" + escaped_text(override_text) + "' is no setting; expected key=value, e.g. train.epochs=3");
        return;
    }
    const std::string key = override_text.substr(0, equals);
    const auto key_length = static_cast<std::int64_t>(equals);
    const SourceSpan key_where{source, 1, 1, key_length};
    const SourceSpan value_where{source, 1, key_length + 2, 1'000'000};
    put(root, split_dotted(key), key_where, key,
        value_of_characters(override_text.substr(equals + 1), value_where, true), diagnostics);
}

bool is_exact_number(std::int64_t integer) {
    const auto number = static_cast<double>(integer);
    return number < 0x1p63 && static_cast<std::int64_t>(number) == integer;
}

Value of_same_type(const Value& given, const Value& example, const std::string& name,
                   Diagnostics& diagnostics) {
    if (given.typing != Typing::open || example.typing == Typing::open) {
        return given;
    }
    Value value{given.data, given.where, given.written, Typing::preferred};
    const bool is_integer = given.as_integer() != nullptr;
    const bool is_number = is_integer || std::holds_alternative<double>(given.data);
    const bool wants_number = std::holds_alternative<double>(example.data);
    if (example.as_text()) {
        value.data = given.written;
        value.typing = Typing::fixed;
    } else if (wants_number && is_integer && is_exact_number(*given.as_integer())) {
        value.data = static_cast<double>(*given.as_integer());
    } else if (((wants_number || example.as_integer()) && !is_number) ||
               (example.as_flag() && !given.as_flag()) || (example.as_list() && !given.as_list())) {
        diagnostics.error(given.where, name + " cannot be '" + escaped_text(given.written) + "'; expected " +
                                           type_of(example) + ", as " + write_inline_toml(example) + " is");
    }
    return value;
}

void check_characters(const Value& root, Diagnostics& diagnostics) {
    CharacterCheck(diagnostics).check(root, "");
}

}  // namespace orchestrate
