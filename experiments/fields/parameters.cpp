// The fields that a study makes of its [parameters]. Their types are those of the values that stand there.
#include <cmath>
#include <regex>

#include "common/job/command_arguments.h"
#include "experiments/fields/command_fields.h"
#include "experiments/fields/field_kinds.h"
#include "experiments/syntax/escaped_text.h"
#include "experiments/syntax/overrides.h"

namespace orchestrate {
namespace {

using namespace field_kinds;

enum class Kind { any, flag, integer, number, text, date };

struct Shape {
    bool is_list = false;
    Kind kind = Kind::any;  // of a list: of its items
};

Kind kind_of(const Value& value) {
    return value.as_flag()                              ? Kind::flag
           : value.as_integer()                         ? Kind::integer
           : std::holds_alternative<double>(value.data) ? Kind::number
           : value.as_text()                            ? Kind::text
           : value.as_date()                            ? Kind::date
                                                        : Kind::any;
}

bool is_subset(Kind narrow, Kind wide) {
    return wide == narrow || wide == Kind::any || (narrow == Kind::integer && wide == Kind::number) ||
           (narrow == Kind::date && wide == Kind::text);
}

// Nothing for what cannot be the value of a parameter: lists of lists, lists of several kinds.
std::optional<Shape> shape_of(const Value& value) {
    const auto* list = value.as_list();
    if (!list) {
        const Kind kind = kind_of(value);
        return kind == Kind::any ? std::nullopt : std::optional(Shape{false, kind});
    }
    Shape shape{true, Kind::any};
    for (const auto& item : *list) {
        const Kind kind = kind_of(item);
        if (kind == Kind::any || !(is_subset(kind, shape.kind) || is_subset(shape.kind, kind))) {
            return std::nullopt;
        }
        shape.kind = shape.kind == Kind::any || is_subset(shape.kind, kind) ? kind : shape.kind;
    }
    return shape;
}

std::string describe(const Shape& shape) {
    const char* const single[] = {"a value",  "true or false", "an integer",
                                  "a number", "a text",        "a date or time"};
    const char* const several[] = {"values",  "true and false", "integers",
                                   "numbers", "texts",          "dates or times"};
    const auto kind = static_cast<std::size_t>(shape.kind);
    return shape.is_list ? std::string("a list of ") + several[kind] : single[kind];
}

std::string type_name(const Shape& shape) {
    const std::string text = describe(shape);
    return text.rfind("an ", 0) == 0 ? text.substr(3) : text.rfind("a ", 0) == 0 ? text.substr(2) : text;
}

// A number's 1 becomes 1.0, so that it is the same job however it was written.
Json item_json(const Value& value, Kind kind) {
    if (const auto* flag = value.as_flag()) {
        return *flag;
    }
    if (const auto* integer = value.as_integer()) {
        return kind == Kind::number ? Json(static_cast<double>(*integer)) : Json(*integer);
    }
    if (const auto* number = std::get_if<double>(&value.data)) {
        return *number;
    }
    return value.as_date() ? value.as_date()->written : *value.as_text();
}

Json to_json(const Value& value, const Shape& shape) {
    const auto* list = value.as_list();
    if (!list) {
        return item_json(value, shape.kind);
    }
    Json items = Json::array();
    for (const auto& item : *list) {
        items.push_back(item_json(item, shape.kind));
    }
    return items;
}

// Whether a command can be told the value at all: JSON has no infinities.
bool is_finite(const Value& value) {
    if (const auto* list = value.as_list()) {
        return std::all_of(list->begin(), list->end(), is_finite);
    }
    const auto* number = std::get_if<double>(&value.data);
    return !number || std::isfinite(*number);
}

// Whether no integer changes when it becomes a number.
bool is_exact(const Value& value) {
    if (const auto* list = value.as_list()) {
        return std::all_of(list->begin(), list->end(), is_exact);
    }
    return !value.as_integer() || is_exact_number(*value.as_integer());
}

bool fits(const Value& value, const Shape& wanted) {
    const auto found = shape_of(value);
    return found && found->is_list == wanted.is_list && is_subset(found->kind, wanted.kind) &&
           is_finite(value) && (wanted.kind != Kind::number || is_exact(value));
}

// What there is instead of the wanted shape, so that the message does not contradict itself.
void report_other_shape(const Value& value, const std::string& name, const Shape& wanted,
                        const std::string& reason, Diagnostics& diagnostics) {
    const auto found = shape_of(value);
    const bool is_list = value.as_list() && !value.as_list()->empty();
    const std::string what = !is_finite(value) && is_list ? "a list with nan or inf"
                             : found && is_list           ? describe(*found)
                             : is_list                    ? "a list of several kinds"
                                                          : value.describe();
    std::string expected = describe(wanted);
    if (wanted.kind == Kind::number) {
        expected = !is_finite(value) ? (wanted.is_list ? "a list of finite numbers" : "a finite number")
                   : !is_exact(value) && found
                       ? expected + " (integers of more than 53 bits are not exact as numbers)"
                       : expected;
    }
    diagnostics.error(value.where, name + " cannot be " + what + "; expected " + expected + reason);
}

Json& place_of(Settings& settings, const std::string& name) {
    if (!settings.job.command) {
        settings.job.command.emplace();
    }
    Json* at = &settings.job.command->parameters;
    for (std::size_t begin = 0; begin < name.size();) {
        const std::size_t end = std::min(name.find('.', begin), name.size());
        at = &(*at)[name.substr(begin, end - begin)];
        begin = end + 1;
    }
    return *at;
}

Field parameter(const std::string& name, const Shape& shape, const Json& base) {
    Field field = named_field("parameters." + name, type_name(shape), "", "A parameter of the command.");
    field.may_vary = true;
    field.write = [=](Settings& settings, const Value& value, Diagnostics& diagnostics) {
        if (!shape.is_list && shape.kind == Kind::any) {
            // Its own value is an error, so what it should be is not known.
            place_of(settings, name) = value.describe();
            return;
        }
        if (!fits(value, shape)) {
            report_other_shape(value, "parameters." + name, shape,
                               ", as " + base.dump() + " in [parameters] is", diagnostics);
            return;
        }
        place_of(settings, name) = to_json(value, shape);
    };
    field.show = [=](const Settings& settings) {
        const Json* found =
            settings.job.command ? find_parameter(settings.job.command->parameters, name) : nullptr;
        const std::string text = as_argument(found ? *found : base);
        return has_control_characters(text) ? '"' + escaped_text(text) + '"' : text;
    };
    return finished(std::move(field));
}

class ParameterReader {
  public:
    ParameterReader(Settings& settings, Diagnostics& diagnostics)
        : settings_(settings), diagnostics_(diagnostics) {}

    void read(const ValueTable& table, const ValueTable& in_file, const std::string& prefix) {
        static const ValueTable kNone;
        for (const auto& entry : table.entries) {
            const ValueEntry* before = in_file.find(entry.key);
            if (!check_name(entry, prefix)) {
                continue;
            }
            if (!before) {
                report_unknown(entry, in_file, prefix);
                continue;
            }
            const std::string name = prefix + entry.key;
            const auto shape = shape_of(before->value);
            const std::size_t errors = diagnostics_.errors();
            if (const auto* below = entry.value.as_table()) {
                const auto* below_before = before->value.as_table();
                read(*below, below_before ? *below_before : kNone, name + ".");
            } else if (!shape) {
                report_no_shape(before->value, name);
            } else if (!fits(entry.value, *shape)) {
                report_other_shape(entry.value, "parameters." + name, *shape,
                                   is_finite(before->value) ? ", as in the file" : "", diagnostics_);
            } else {
                add(name, *shape, to_json(entry.value, *shape));
            }
            if (diagnostics_.errors() != errors && !entry.value.as_table()) {
                add(name, Shape{}, "");  // else its name would be unknown wherever it is used
            }
        }
    }

    std::vector<Field> take() { return std::move(fields_); }

  private:
    bool check_name(const ValueEntry& entry, const std::string& prefix) {
        static const std::regex kForm("[A-Za-z_][A-Za-z0-9_-]*");
        if (!std::regex_match(entry.key, kForm)) {
            diagnostics_.error(entry.key_where, "a parameter cannot be named '" + entry.key +
                                                    "'; expected letters, digits, _ and -, a letter first");
            return false;
        }
        if (prefix.empty() && (entry.key == "seed" || entry.key == "config")) {
            diagnostics_.error(entry.key_where, "a parameter cannot be named '" + entry.key + "', since {" +
                                                    entry.key +
                                                    "} stands for the job's own; expected another name");
            return false;
        }
        return true;
    }

    void add(const std::string& name, const Shape& shape, const Json& base) {
        place_of(settings_, name) = base;
        fields_.push_back(parameter(name, shape, base));
    }

    void report_no_shape(const Value& value, const std::string& name) {
        diagnostics_.error(value.where,
                           "parameters." + name + " cannot be " +
                               (value.as_list() ? "a list of several kinds, or of lists" : value.describe()) +
                               "; expected true or false, a number, a text, a date, or a list of one kind of "
                               "these");
    }

    // Only the command line can name what the file does not, by a slip: it would change nothing.
    void report_unknown(const ValueEntry& entry, const ValueTable& in_file, const std::string& prefix) {
        std::vector<std::string> names;
        for (const auto& other : in_file.entries) {
            names.push_back("parameters." + prefix + other.key);
        }
        diagnostics_.unknown_name(entry.key_where,
                                  "[parameters] of the file has no '" + prefix + entry.key + "'",
                                  "parameters." + prefix + entry.key, names);
    }

    Settings& settings_;
    Diagnostics& diagnostics_;
    std::vector<Field> fields_;
};

}  // namespace

std::vector<Field> read_parameters(const Value& section, const Value& in_file, Settings& settings,
                                   Diagnostics& diagnostics) {
    ParameterReader reader(settings, diagnostics);
    const auto* table = section.as_table();
    if (table && in_file.as_table()) {
        reader.read(*table, *in_file.as_table(), "");
    } else {
        report_unfit(section, "parameters", "a table, [parameters]", diagnostics);
    }
    return reader.take();
}

}  // namespace orchestrate
