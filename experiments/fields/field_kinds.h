// Makers of fields by kind of value; used by the tables of fields only. `Access` is a generic callable that, given
// Settings& or const Settings&, returns a reference to the member.
#pragma once

#include <algorithm>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "experiments/fields/fields.h"

namespace orchestrate::field_kinds {

inline constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();

// What all kinds share; the last words of the path are its name in variants unless said otherwise.
Field named_field(std::string path, std::string type, std::string unit, std::string description);

// Derives default_text from settings that say nothing.
Field finished(Field field);

// Names of an enumeration as messages list them.
std::string quoted_alternatives(std::span<const std::string> names);

std::string integer_range(std::int64_t least, std::int64_t most);

// JSON Schemas of values.
Json integer_schema(std::int64_t least, std::int64_t most);
Json names_schema();  // a text or a list of different texts
Json any_of(std::vector<Json> schemas);
Json list_schema(Json item);  // not empty

struct NumberRange {
    double least = 0;
    double most = std::numeric_limits<double>::infinity();
    bool open_least = false;  // `least` itself is out of range
    bool open_most = false;

    bool contains(double number) const;
    std::string describe() const;
    Json schema() const;
};

template <class Access>
Field integer(std::string path, std::string unit, std::int64_t least, std::int64_t most, Access access,
              std::string description) {
    Field field = named_field(std::move(path), "integer", std::move(unit), std::move(description));
    field.range = integer_range(least, most);
    field.schema = integer_schema(least, most);
    field.write = [=, name = field.path, range = field.range](Settings& settings, const Value& value,
                                                              Diagnostics& diagnostics) {
        const auto* number = value.as_integer();
        if (!number || *number < least || *number > most) {
            report_unfit(value, name, "an integer " + range, diagnostics);
            return;
        }
        access(settings) = static_cast<std::decay_t<decltype(access(settings))>>(*number);
    };
    field.show = [=](const Settings& settings) { return fmt::format("{}", access(settings)); };
    return finished(std::move(field));
}

template <class Access>
Field number(std::string path, std::string unit, NumberRange range, Access access, std::string description) {
    Field field = named_field(std::move(path), "number", std::move(unit), std::move(description));
    field.range = range.describe();
    field.schema = range.schema();
    field.write = [=, name = field.path](Settings& settings, const Value& value, Diagnostics& diagnostics) {
        const auto* integer_value = value.as_integer();
        const auto* number_value = std::get_if<double>(&value.data);
        const double found = integer_value  ? static_cast<double>(*integer_value)
                             : number_value ? *number_value
                                            : std::numeric_limits<double>::quiet_NaN();
        if (!range.contains(found)) {
            report_unfit(value, name, "a number " + range.describe(), diagnostics);
            return;
        }
        access(settings) = found;
    };
    field.show = [=](const Settings& settings) { return fmt::format("{}", access(settings)); };
    return finished(std::move(field));
}

template <class Access>
Field flag(std::string path, Access access, std::string description) {
    Field field = named_field(std::move(path), "true or false", "", std::move(description));
    field.schema = {{"type", "boolean"}};
    field.write = [=, name = field.path](Settings& settings, const Value& value, Diagnostics& diagnostics) {
        if (const auto* found = value.as_flag()) {
            access(settings) = *found;
        } else {
            report_unfit(value, name, "true or false", diagnostics);
        }
    };
    field.show = [=](const Settings& settings) { return access(settings) ? "true" : "false"; };
    return finished(std::move(field));
}

template <class Access>
Field text(std::string path, Access access, std::string description) {
    Field field = named_field(std::move(path), "text", "", std::move(description));
    field.schema = {{"type", "string"}};
    field.write = [=, name = field.path](Settings& settings, const Value& value, Diagnostics& diagnostics) {
        if (const auto* found = value.as_text()) {
            access(settings) = *found;
        } else {
            report_unfit(value, name, "a text", diagnostics);
        }
    };
    field.show = [=](const Settings& settings) { return access(settings); };
    return finished(std::move(field));
}

// Stored absolute; relative ones are relative to the file, or to the current folder on the command line.
template <class Access>
Field path(std::string field_path, Access access, std::string description) {
    Field field = named_field(std::move(field_path), "path", "", std::move(description));
    field.schema = {{"type", "string"}, {"minLength", 1}};
    field.write = [=, name = field.path](Settings& settings, const Value& value, Diagnostics& diagnostics) {
        const auto* found = value.as_text();
        if (!found || found->empty()) {
            report_unfit(value, name, "a path", diagnostics);
            return;
        }
        const auto folder = value.where.source ? value.where.source->folder : std::filesystem::current_path();
        access(settings) = (folder / *found).lexically_normal().string();
    };
    field.show = [=](const Settings& settings) { return access(settings); };
    return finished(std::move(field));
}

template <class Access>
Field names(std::string path, std::string what, Access access, std::string description) {
    Field field = named_field(std::move(path), "list of texts", "", std::move(description));
    field.schema = names_schema();
    field.write = [=, name = field.path](Settings& settings, const Value& value, Diagnostics& diagnostics) {
        const std::size_t before = diagnostics.errors();
        std::vector<std::string> found;
        for (const auto& item : read_names(value, what, diagnostics, name)) {
            found.push_back(*item.as_text());
        }
        if (diagnostics.errors() == before) {
            access(settings) = std::move(found);
        }
    };
    field.show = [=](const Settings& settings) { return join_and(access(settings)); };
    return finished(std::move(field));
}

// `prefix` stands before the names of the enumeration in the file: "validation macro_f1".
template <class E, class Access>
Field one_of(std::string path, Access access, std::string description, const std::string& prefix = "") {
    auto choices = enum_names<E>();
    for (auto& choice : choices) {
        choice.insert(0, prefix);
    }
    Field field = named_field(std::move(path), quoted_alternatives(choices), "", std::move(description));
    field.schema = {{"enum", choices}};
    field.write = [=, name = field.path](Settings& settings, const Value& value, Diagnostics& diagnostics) {
        const auto* found = value.as_text();
        const auto at = found ? std::find(choices.begin(), choices.end(), *found) : choices.end();
        if (at != choices.end()) {
            access(settings) = *enum_from_name<E>(at->substr(prefix.size()));
        } else if (found) {
            diagnostics.unknown_name(
                value.where, name + " cannot be '" + *found + "'; expected " + quoted_alternatives(choices),
                *found, choices);
        } else {
            report_unfit(value, name, quoted_alternatives(choices), diagnostics);
        }
    };
    field.show = [=](const Settings& settings) { return prefix + to_string(access(settings)); };
    return finished(std::move(field));
}

template <class Access>
Field seeds(std::string path, Access access, std::string default_text, std::string description) {
    Field field =
        named_field(std::move(path), "list of integers, how many, or a table", "", std::move(description));
    field.range = "each different";
    field.schema = seeds_schema();
    field.default_text = std::move(default_text);
    field.write = [=, name = field.path](Settings& settings, const Value& value, Diagnostics& diagnostics) {
        const std::size_t before = diagnostics.errors();
        auto found = read_seeds(value, diagnostics, name);
        if (diagnostics.errors() == before) {
            access(settings) = std::move(found);
        }
    };
    field.show = [=](const Settings& settings) {
        std::vector<std::string> found;
        for (const auto& seed : access(settings)) {
            found.push_back(seed.initialization == seed.data_order
                                ? fmt::format("{}", seed.initialization)
                                : fmt::format("{}/{}", seed.initialization, seed.data_order));
        }
        return join_and(found);
    };
    return finished(std::move(field));
}

// Marks a field as one that a search or an ablation may change.
Field varying(Field field);

Field with_words(Field field, std::string words);

}  // namespace orchestrate::field_kinds
