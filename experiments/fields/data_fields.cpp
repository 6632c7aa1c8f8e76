#include "experiments/fields/data_fields.h"

#include "experiments/fields/field_access.h"
#include "experiments/fields/field_kinds.h"

namespace orchestrate {
namespace {

using namespace field_kinds;

constexpr NumberRange kPart{0, 1, true, true};

Json object_schema(Json properties, std::vector<std::string> required) {
    return {{"type", "object"},
            {"properties", std::move(properties)},
            {"required", std::move(required)},
            {"additionalProperties", false}};
}

Field group_by() {
    Field field =
        named_field("data.split.group_by", "list of columns", "",
                    "Rows that agree in all these columns stay in one part. A column is a name or "
                    "`{ column = \"artists\", first_of = \";\" }`: only what stands before the separator.");
    const Json name_schema = {{"type", "string"}, {"minLength", 1}};
    const Json item_schema = any_of(
        {name_schema, object_schema({{"column", name_schema}, {"first_of", name_schema}}, {"column"})});
    field.schema = any_of({item_schema, list_schema(item_schema)});
    field.write = [](Settings& settings, const Value& value, Diagnostics& diagnostics) {
        const std::string expected = "a column's name or { column = \"artists\", first_of = \";\" }";
        const std::vector<Value> single = {value};
        const auto& items = value.as_list() ? *value.as_list() : single;
        std::vector<GroupColumn> columns;
        const std::size_t before = diagnostics.errors();
        for (const auto& item : items) {
            const auto* name = item.as_text();
            const auto* table = item.as_table();
            GroupColumn column;
            if (name) {
                column.column = *name;
            } else if (table) {
                for (const auto& [key, key_where, part] : table->entries) {
                    const auto* text = part.as_text();
                    if (key != "column" && key != "first_of") {
                        diagnostics.unknown_name(key_where, "unknown key '" + key + "' of a grouping column",
                                                 key, std::vector<std::string>{"column", "first_of"});
                    } else if (!text || text->empty()) {
                        report_unfit(part, key, "a text", diagnostics);
                    } else {
                        (key == "column" ? column.column : column.first_of) = *text;
                    }
                }
            }
            if (column.column.empty()) {
                if (diagnostics.errors() == before) {
                    report_unfit(item, "data.split.group_by", expected, diagnostics);
                }
                continue;
            }
            if (std::any_of(columns.begin(), columns.end(),
                            [&](const GroupColumn& other) { return other.column == column.column; })) {
                diagnostics.error(item.where,
                                  "column '" + column.column + "' is listed twice; expected each once");
            }
            columns.push_back(column);
        }
        if (diagnostics.errors() == before) {
            settings.job.data.split.group_by = columns;
        }
    };
    field.show = [](const Settings& settings) {
        std::vector<std::string> found;
        for (const auto& column : settings.job.data.split.group_by) {
            found.push_back(column.first_of.empty() ? column.column : "first of " + column.column);
        }
        return join_and(found);
    };
    return finished(std::move(field));
}

// The default is the member left unset, so that identities are as without the field.
Field missing() {
    Field field = named_field("data.missing", quoted_alternatives(enum_names<MissingValues>()), "",
                              "What is done about cells without a value: refuse the data, leave out rows in "
                              "which a feature of the study "
                              "(or the label) has none, write the word `missing`, or take the median of the "
                              "training part (of truth values "
                              "and strings: the word).");
    field.schema = {{"enum", enum_names<MissingValues>()}};
    field.write = [](Settings& settings, const Value& value, Diagnostics& diagnostics) {
        const auto names = enum_names<MissingValues>();
        const auto* text = value.as_text();
        const auto found = text ? enum_from_name<MissingValues>(*text) : std::nullopt;
        if (found) {
            settings.job.data.missing = *found == MissingValues::refuse ? std::nullopt : found;
        } else if (text) {
            diagnostics.unknown_name(
                value.where, "data.missing cannot be '" + *text + "'; expected " + quoted_alternatives(names),
                *text, names);
        } else {
            report_unfit(value, "data.missing", quoted_alternatives(names), diagnostics);
        }
    };
    field.show = [](const Settings& settings) {
        return to_string(settings.job.data.missing.value_or(MissingValues::refuse));
    };
    return finished(std::move(field));
}

Field delimiter() {
    Field field =
        named_field("data.delimiter", "one character", "",
                    "Between the fields of the file: `\";\"`, `\"\\t\"`. Default: by the file's name and "
                    "header, one of comma, semicolon, tab and vertical bar.");
    field.schema = {{"type", "string"}, {"minLength", 1}, {"maxLength", 1}};
    field.write = [](Settings& settings, const Value& value, Diagnostics& diagnostics) {
        const auto* text = value.as_text();
        const auto is_fit = [](char c) {
            return static_cast<unsigned char>(c) < 0x80 && c != '"' && c != '\n' && c != '\r' && c != '\0';
        };
        if (text && text->size() == 1 && is_fit(text->front())) {
            settings.job.data.delimiter = *text;
        } else {
            report_unfit(value, "data.delimiter",
                         "one ASCII character such as \";\" or \"\\t\", but no quote and no line end",
                         diagnostics);
        }
    };
    field.show = [](const Settings& settings) { return settings.job.data.delimiter.value_or(""); };
    return finished(std::move(field));
}

Field decimal() {
    Field field = named_field("data.decimal", "\".\" or \",\"", "",
                              "Decimal mark of the numbers in the file; digits before it may then be grouped "
                              "by threes (`1.234,5`, `1 234`). "
                              "Default: a point, and columns of numbers in another form are refused.");
    field.schema = {{"enum", {".", ","}}};
    field.write = [](Settings& settings, const Value& value, Diagnostics& diagnostics) {
        const auto* text = value.as_text();
        if (text && (*text == "." || *text == ",")) {
            settings.job.data.decimal = *text;
        } else {
            report_unfit(value, "data.decimal", "\".\" or \",\"", diagnostics);
        }
    };
    field.show = [](const Settings& settings) { return settings.job.data.decimal.value_or(""); };
    return finished(std::move(field));
}

Field split_column() {
    Field field =
        named_field("data.split.column", "text", "",
                    "Column that says of each row which part it belongs to: `train`, `validation` or `test`. "
                    "Then the shares, `stratify`, `folds` and `repeats` have no place, and `group_by` only "
                    "checks that no group is in two parts.");
    field.schema = {{"type", "string"}, {"minLength", 1}};
    field.write = [](Settings& settings, const Value& value, Diagnostics& diagnostics) {
        const auto* text = value.as_text();
        if (text && !text->empty()) {
            settings.job.data.split.column = *text;
        } else {
            report_unfit(value, "data.split.column", "the name of a column", diagnostics);
        }
    };
    field.show = [](const Settings& settings) { return settings.job.data.split.column.value_or(""); };
    return finished(std::move(field));
}

}  // namespace

std::vector<Field> data_fields() {
    return {
        path("data.path", AT(paths.data), "CSV or TSV file with a header line; may be gzip. Required."),
        text("data.source", AT(data_source), "Where the data can be had; shown when the file is missing."),
        text("data.label", AT(job.data.label), "Column that holds the class. Required."),
        names("data.classes", "class", AT(job.data.classes), "Only rows of these classes. Default: all."),
        varying(names("data.features", "feature", AT(job.data.features),
                      "Columns written into the text, in this order. Required.")),
        varying(integer("data.max_rows", "rows", 0, kNoLimit, AT(job.data.max_rows),
                        "A sample of so many rows, drawn by `data.split.seed`; 0: all.")),
        missing(),
        delimiter(),
        decimal(),
        varying(with_words(
            one_of<TextForm>("data.text.form", AT(job.data.text.form),
                             "How a number is written: with `decimals` digits, as a z-score, or in words "
                             "by quantile (\"energy very high\")."),
            "text")),
        varying(integer("data.text.quantiles", "", 2, 100, AT(job.data.text.quantiles),
                        "Of `quantile_words`; above 7 they are numbered.")),
        varying(integer("data.text.decimals", "digits", 0, 6, AT(job.data.text.decimals),
                        "Of `rounded` and `standardized`.")),
        number("data.split.train", "share of rows", kPart, AT(job.data.split.train), "Part to learn from."),
        number("data.split.validation", "share of rows", kPart, AT(job.data.split.validation),
               "Part to choose by: epochs and the best of a search."),
        number("data.split.test", "share of rows", kPart, AT(job.data.split.test), "Part that is reported."),
        group_by(),
        split_column(),
        flag("data.split.stratify", AT(job.data.split.stratify),
             "Keep each class's share in each part, as far as groups allow."),
        varying(with_words(integer("data.split.seed", "", 0, kNoLimit, AT(job.data.split.seed),
                                   "Of the split and of the sample of rows."),
                           "split seed")),
        integer("data.split.folds", "parts", 0, 1000, AT(job.data.split.folds),
                "Each row is tested once: one job per variant, seed and fold, with `test` = 1 / folds; "
                "`validation` is taken from the rest. 0: one split by the shares."),
        integer("data.split.repeats", "splits", 1, 1000, AT(split_repeats),
                "One job per variant, seed and split, with split seeds from `seed` upwards."),
    };
}

}  // namespace orchestrate
