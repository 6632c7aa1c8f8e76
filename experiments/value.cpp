#include "experiments/value.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include <fmt/format.h>
#include <toml++/toml.h>

namespace orchestrate {
namespace {

SourceSpan span_of(const std::shared_ptr<const SourceText>& source, const toml::source_region& region) {
    SourceSpan span{source, region.begin.line, region.begin.column, 1};
    if (region.end.line == region.begin.line && region.end.column > region.begin.column) {
        span.length = region.end.column - region.begin.column;
    } else if (region.end.line > region.begin.line) {
        span.length = 1'000'000;  // to the end of the line; clipped when shown
    }
    return span;
}

Value convert(const toml::node& node, const std::shared_ptr<const SourceText>& source) {
    Value value;
    value.where = span_of(source, node.source());
    if (const auto* table = node.as_table()) {
        ValueTable result;
        for (const auto& [key, child] : *table) {
            result.entries.push_back(
                {std::string(key.str()), span_of(source, key.source()), convert(child, source)});
        }
        std::stable_sort(result.entries.begin(), result.entries.end(), [](const auto& a, const auto& b) {
            return std::tie(a.key_where.line, a.key_where.column) <
                   std::tie(b.key_where.line, b.key_where.column);
        });
        value.data = std::move(result);
    } else if (const auto* array = node.as_array()) {
        std::vector<Value> result;
        for (const auto& child : *array) {
            result.push_back(convert(child, source));
        }
        value.data = std::move(result);
    } else if (const auto text = node.value_exact<std::string>()) {
        value.data = *text;
    } else if (const auto flag = node.value_exact<bool>()) {
        value.data = *flag;
    } else if (const auto integer = node.value_exact<std::int64_t>()) {
        value.data = *integer;
    } else if (const auto number = node.value_exact<double>()) {
        value.data = *number;
    }
    return value;
}

bool is_bare_key(const std::string& key) {
    return !key.empty() && std::all_of(key.begin(), key.end(), [](unsigned char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               c == '-';
    });
}

std::string quoted(const std::string& text) {
    std::string result = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            result += '\\';
            result += c;
        } else if (byte < 0x20 || byte == 0x7F) {
            result += fmt::format("\\u{:04X}", static_cast<unsigned>(byte));
        } else {
            result += c;
        }
    }
    return result + '"';
}

std::string written_key(const std::string& key) {
    return is_bare_key(key) ? key : quoted(key);
}

std::string written_number(double number) {
    if (std::isnan(number)) {
        return "nan";
    }
    if (std::isinf(number)) {
        return number > 0 ? "inf" : "-inf";
    }
    std::string text = fmt::format("{}", number);
    if (text.find_first_of(".e") == std::string::npos) {
        text += ".0";
    }
    return text;
}

bool is_list_of_tables(const Value& value) {
    const auto* list = value.as_list();
    return list && !list->empty() && std::all_of(list->begin(), list->end(), [](const Value& item) {
               return item.as_table() != nullptr;
           });
}

void write_section(const ValueTable& table, const std::string& path, std::string& text) {
    for (const auto& [key, key_where, value] : table.entries) {
        if (!value.as_table() && !is_list_of_tables(value)) {
            text += written_key(key) + " = " + write_inline_toml(value) + "\n";
        }
    }
    for (const auto& [key, key_where, value] : table.entries) {
        const std::string name = path.empty() ? written_key(key) : path + "." + written_key(key);
        if (const auto* child = value.as_table()) {
            text += "\n[" + name + "]\n";
            write_section(*child, name, text);
        } else if (is_list_of_tables(value)) {
            for (const auto& item : *value.as_list()) {
                text += "\n[[" + name + "]]\n";
                write_section(*item.as_table(), name, text);
            }
        }
    }
}

std::vector<std::string> split_dotted(std::string_view key) {
    std::vector<std::string> parts(1);
    for (const char c : key) {
        if (c == '.') {
            parts.emplace_back();
        } else if (c != ' ' && c != '"') {
            parts.back() += c;
        }
    }
    return parts;
}

}  // namespace

const ValueEntry* ValueTable::find(std::string_view key) const {
    const auto found = std::find_if(entries.begin(), entries.end(),
                                    [&](const ValueEntry& entry) { return entry.key == key; });
    return found == entries.end() ? nullptr : &*found;
}

std::string Value::describe() const {
    struct Describe {
        std::string operator()(const UnsupportedValue&) const { return "a date or time"; }
        std::string operator()(bool flag) const { return flag ? "true" : "false"; }
        std::string operator()(std::int64_t number) const { return fmt::format("the integer {}", number); }
        std::string operator()(double number) const { return "the number " + written_number(number); }
        std::string operator()(const std::string& text) const { return "the text '" + text + "'"; }
        std::string operator()(const std::vector<Value>&) const { return "a list"; }
        std::string operator()(const ValueTable&) const { return "a table"; }
    };
    return std::visit(Describe{}, data);
}

Value parse_toml(std::shared_ptr<const SourceText> source, Mistakes& mistakes) {
    try {
        const toml::table table = toml::parse(std::string_view(source->text), source->name);
        return convert(table, source);
    } catch (const toml::parse_error& error) {
        mistakes.error(span_of(source, error.source()),
                       "this is not TOML: " + std::string(error.description()));
        return Value{ValueTable{}, {source, 0, 0, 1}};
    }
}

void apply_override(Value& root, const std::string& override_text, Mistakes& mistakes) {
    auto source = std::make_shared<SourceText>(
        SourceText{"command line", std::filesystem::current_path(), override_text, true});
    const std::size_t equals = override_text.find('=');
    if (equals == std::string::npos || equals == 0) {
        mistakes.error({source, 1, 1, 1'000'000},
                       "'" + override_text + "' is no setting; expected key=value, e.g. train.epochs=3");
        return;
    }
    const auto key_length = static_cast<std::int64_t>(equals);
    const SourceSpan key_where{source, 1, 1, key_length};
    const SourceSpan value_where{source, 1, key_length + 2, 1'000'000};

    Value value;
    try {
        const toml::table parsed = toml::parse(std::string("value = ") + override_text.substr(equals + 1));
        if (parsed.size() != 1) {
            throw std::invalid_argument("more than one value");
        }
        value = convert(*parsed.get("value"), source);
    } catch (const std::exception&) {
        value.data = override_text.substr(equals + 1);
    }
    // Positions of the parts of a value count from "value = ", which stands in place of the key.
    const auto shift = [&](auto& self, Value& part) -> void {
        part.where = value_where;
        if (auto* list = std::get_if<std::vector<Value>>(&part.data)) {
            for (auto& item : *list) {
                self(self, item);
            }
        } else if (auto* table = std::get_if<ValueTable>(&part.data)) {
            for (auto& entry : table->entries) {
                entry.key_where = value_where;
                self(self, entry.value);
            }
        }
    };
    shift(shift, value);

    Value* at = &root;
    const auto parts = split_dotted(std::string_view(override_text).substr(0, equals));
    for (std::size_t i = 0; i < parts.size(); ++i) {
        auto* table = std::get_if<ValueTable>(&at->data);
        if (!table) {
            mistakes.error(key_where, fmt::format("cannot set '{}': '{}' is no table; change it in the file",
                                                  override_text.substr(0, equals), parts[i - 1]));
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

std::string write_inline_toml(const Value& value) {
    if (const auto* flag = value.as_flag()) {
        return *flag ? "true" : "false";
    }
    if (const auto* integer = value.as_integer()) {
        return fmt::format("{}", *integer);
    }
    if (const auto* number = std::get_if<double>(&value.data)) {
        return written_number(*number);
    }
    if (const auto* text = value.as_text()) {
        return quoted(*text);
    }
    std::string result;
    if (const auto* list = value.as_list()) {
        for (const auto& item : *list) {
            result += (result.empty() ? "" : ", ") + write_inline_toml(item);
        }
        return "[" + result + "]";
    }
    if (const auto* table = value.as_table()) {
        for (const auto& entry : table->entries) {
            result += (result.empty() ? "" : ", ") + written_key(entry.key) + " = " +
                      write_inline_toml(entry.value);
        }
        return "{ " + result + " }";
    }
    return "\"\"";
}

std::string write_toml(const Value& root) {
    std::string text;
    if (const auto* table = root.as_table()) {
        write_section(*table, "", text);
    }
    return text;
}

}  // namespace orchestrate
