#include "experiments/syntax/value.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "experiments/syntax/escaped_text.h"

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

// Finds what was written in a stretch of one line.
class WrittenText {
  public:
    explicit WrittenText(const std::string& text) : text_(text) {
        line_begins_.push_back(0);
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (text[i] == '\n') {
                line_begins_.push_back(i + 1);
            }
        }
    }

    // Empty for what spans several lines.
    std::string at(const toml::source_region& region) {
        if (region.begin.line == 0 || region.end.line != region.begin.line ||
            region.begin.line > line_begins_.size() || region.end.column <= region.begin.column) {
            return {};
        }
        const std::size_t begin = offset_of(region.begin.line, region.begin.column);
        const std::size_t end = offset_of(region.end.line, region.end.column);
        return text_.substr(begin, end - begin);
    }

  private:
    // Columns count characters: the search continues from the last place, so that a long line is not read again and again.
    std::size_t offset_of(std::uint32_t line, std::uint32_t column) {
        if (line != line_ || column < column_) {
            line_ = line;
            column_ = 1;
            offset_ = line_begins_[line - 1];
        }
        while (column_ < column && offset_ < text_.size()) {
            ++offset_;
            while (offset_ < text_.size() && (static_cast<unsigned char>(text_[offset_]) & 0xC0) == 0x80) {
                ++offset_;
            }
            ++column_;
        }
        return offset_;
    }

    const std::string& text_;
    std::vector<std::size_t> line_begins_;
    std::uint32_t line_ = 0;
    std::uint32_t column_ = 1;
    std::size_t offset_ = 0;
};

class Converter {
  public:
    explicit Converter(const std::shared_ptr<const SourceText>& source)
        : source_(source), written_(source->text) {}

    Value convert(const toml::node& node) {
        Value value;
        value.where = span_of(source_, node.source());
        if (const auto* table = node.as_table()) {
            value.data = convert_table(*table);
            return value;
        }
        value.written = written_.at(node.source());
        if (const auto* array = node.as_array()) {
            std::vector<Value> result;
            for (const auto& child : *array) {
                result.push_back(convert(child));
            }
            value.data = std::move(result);
        } else if (const auto text = node.value_exact<std::string>()) {
            value.data = *text;
            value.written.clear();
        } else if (const auto flag = node.value_exact<bool>()) {
            value.data = *flag;
        } else if (const auto integer = node.value_exact<std::int64_t>()) {
            value.data = *integer;
        } else if (const auto number = node.value_exact<double>()) {
            value.data = *number;
        } else {
            value.data = DateOrTime{value.written};
        }
        return value;
    }

  private:
    ValueTable convert_table(const toml::table& table) {
        ValueTable result;
        for (const auto& [key, child] : table) {
            result.entries.push_back(
                {std::string(key.str()), span_of(source_, key.source()), convert(child)});
        }
        std::stable_sort(result.entries.begin(), result.entries.end(), [](const auto& a, const auto& b) {
            return std::tie(a.key_where.line, a.key_where.column) <
                   std::tie(b.key_where.line, b.key_where.column);
        });
        return result;
    }

    const std::shared_ptr<const SourceText>& source_;
    WrittenText written_;
};

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

// The places of a value that was read from other text than `where` belongs to.
void place_at(Value& value, const SourceSpan& where) {
    value.where = where;
    if (auto* list = std::get_if<std::vector<Value>>(&value.data)) {
        for (auto& item : *list) {
            place_at(item, where);
        }
    } else if (auto* table = std::get_if<ValueTable>(&value.data)) {
        for (auto& entry : table->entries) {
            entry.key_where = where;
            place_at(entry.value, where);
        }
    }
}

}  // namespace

const ValueEntry* ValueTable::find(std::string_view key) const {
    const auto found = std::find_if(entries.begin(), entries.end(),
                                    [&](const ValueEntry& entry) { return entry.key == key; });
    return found == entries.end() ? nullptr : &*found;
}

std::string Value::describe() const {
    struct Describe {
        std::string operator()(const DateOrTime& date) const { return "the date or time " + date.written; }
        std::string operator()(bool flag) const { return flag ? "true" : "false"; }
        std::string operator()(std::int64_t number) const { return fmt::format("the integer {}", number); }
        std::string operator()(double number) const { return "the number " + written_number(number); }
        std::string operator()(const std::string& text) const {
            return text.empty() ? "an empty text" : "the text '" + escaped_text(text) + "'";
        }
        std::string operator()(const std::vector<Value>& list) const {
            return list.empty() ? "an empty list" : "a list";
        }
        std::string operator()(const ValueTable& table) const {
            return table.entries.empty() ? "an empty table" : "a table";
        }
    };
    return std::visit(Describe{}, data);
}

Value parse_toml(std::shared_ptr<const SourceText> source, Diagnostics& diagnostics) {
    try {
        const toml::table table = toml::parse(std::string_view(source->text), source->name);
        return Converter(source).convert(table);
    } catch (const toml::parse_error& error) {
        diagnostics.error(span_of(source, error.source()),
                          "this is not TOML: " + std::string(error.description()));
        return Value{ValueTable{}, {source, 0, 0, 1}};
    }
}

Value value_of_characters(const std::string& text, const SourceSpan& where, bool may_be_quoted) {
    const std::string key = "value = ";
    const auto source = std::make_shared<SourceText>();
    source->text = key + text;
    Diagnostics ignored;
    Value parsed = parse_toml(source, ignored);
    Value value{text, where, text, Typing::open};
    auto* table = std::get_if<ValueTable>(&parsed.data);
    if (ignored.errors() > 0 || table->entries.size() != 1) {
        return value;
    }
    Value& found = table->entries.front().value;
    if (found.as_text()) {
        return may_be_quoted ? Value{*found.as_text(), where} : value;
    }
    value.data = std::move(found.data);
    place_at(value, where);
    return value;
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
    if (const auto* date = value.as_date()) {
        return date->written;
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
    return {};
}

std::string write_toml(const Value& root) {
    std::string text;
    if (const auto* table = root.as_table()) {
        write_section(*table, "", text);
    }
    return text;
}

}  // namespace orchestrate
