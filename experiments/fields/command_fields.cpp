#include "experiments/fields/command_fields.h"

#include "experiments/fields/field_access.h"
#include "experiments/fields/field_kinds.h"

namespace orchestrate {
namespace {

using namespace field_kinds;

const Json kText = {{"type", "string"}, {"minLength", 1}};

Field run() {
    Field field =
        named_field("command.run", "list of texts", "",
                    "The program and its arguments. `{name}` in one stands for that parameter's value, "
                    "`{seed}` for the seed, `{config}` for the file of the whole configuration.");
    field.schema = list_schema(kText);
    field.write = [](Settings& settings, const Value& value, Diagnostics& diagnostics) {
        const auto* list = value.as_list();
        std::vector<std::string> words;
        for (const auto& item : list ? *list : std::vector<Value>{}) {
            const auto* word = item.as_text();
            if (!word || (word->empty() && words.empty())) {
                report_unfit(item,
                             words.empty() ? "the program in command.run" : "an argument in command.run",
                             words.empty() ? "the name of a program" : "a text", diagnostics);
                return;
            }
            words.push_back(*word);
        }
        if (words.empty()) {
            report_unfit(value, "command.run", R"(a list of texts such as ["python3", "train.py"])",
                         diagnostics);
            return;
        }
        settings.command.run = std::move(words);
    };
    field.show = [](const Settings& settings) { return join_and(settings.command.run); };
    return finished(std::move(field));
}

// One entry of command.metrics; nothing (reported) if it is none.
std::optional<MetricDeclaration> read_metric(const Value& item, Diagnostics& diagnostics) {
    MetricDeclaration metric;
    const std::size_t before = diagnostics.errors();
    if (const auto* name = item.as_text()) {
        metric.name = *name;
    } else if (const auto* table = item.as_table()) {
        for (const auto& [key, key_where, value] : table->entries) {
            const auto* text = value.as_text();
            const auto goal = text ? enum_from_name<MetricGoal>(*text) : std::nullopt;
            const auto unit = text ? enum_from_name<MetricUnit>(*text) : std::nullopt;
            if (key != "name" && key != "goal" && key != "unit") {
                diagnostics.unknown_name(key_where,
                                         "unknown key '" + key + "' of a metric; expected name, goal or unit",
                                         key, std::vector<std::string>{"name", "goal", "unit"});
            } else if (key == "name" && text) {
                metric.name = *text;
            } else if (key == "goal" && goal) {
                metric.goal = *goal;
            } else if (key == "unit" && unit) {
                metric.unit = *unit;
            } else {
                report_unfit(value, key,
                             key == "name"   ? "a text"
                             : key == "goal" ? R"("max" or "min")"
                                             : R"("number" or "fraction")",
                             diagnostics);
            }
        }
    }
    if (metric.name.empty() && diagnostics.errors() == before) {
        report_unfit(item, "a metric", R"(a name, or { name = "loss", goal = "min" })", diagnostics);
    }
    return diagnostics.errors() == before ? std::optional(metric) : std::nullopt;
}

Field metrics() {
    Field field =
        named_field("command.metrics", "list of names, or tables with name, goal and unit", "",
                    "What every job reports of the test part, in the order of the table; the first one's "
                    "differences are shown. `goal`: `\"max\"` or `\"min\"`. `unit`: `\"number\"`, or "
                    "`\"fraction\"` for one that tables show in percent.");
    const Json table = {{"type", "object"},
                        {"properties",
                         {{"name", kText},
                          {"goal", {{"enum", enum_names<MetricGoal>()}}},
                          {"unit", {{"enum", enum_names<MetricUnit>()}}}}},
                        {"required", {"name"}},
                        {"additionalProperties", false}};
    field.schema = list_schema(any_of({kText, table}));
    field.write = [](Settings& settings, const Value& value, Diagnostics& diagnostics) {
        const auto* list = value.as_list();
        if (!list || list->empty()) {
            report_unfit(value, "command.metrics", R"(a list such as ["accuracy"])", diagnostics);
            return;
        }
        std::vector<MetricDeclaration> found;
        for (const auto& item : *list) {
            const auto metric = read_metric(item, diagnostics);
            if (metric && std::any_of(found.begin(), found.end(),
                                      [&](const auto& other) { return other.name == metric->name; })) {
                diagnostics.error(item.where,
                                  "metric '" + metric->name + "' is listed twice; expected each once");
            } else if (metric) {
                found.push_back(*metric);
            }
        }
        settings.command.metrics = std::move(found);
    };
    field.show = [](const Settings& settings) {
        std::vector<std::string> names;
        for (const auto& metric : settings.command.metrics) {
            names.push_back(metric.name);
        }
        return join_and(names);
    };
    return finished(std::move(field));
}

}  // namespace

std::vector<Field> command_fields() {
    return {
        run(),
        names(
            "command.files", "file", AT(command.files),
            "Files whose content the results depend on, relative to the command's folder: files, directories "
            "(all below them) and patterns such as `src/*.py` and `**/*.py`; hidden ones only by name. They "
            "are part of what a job is; a worker that finds other content refuses it."),
        path("command.folder", AT(paths.command_folder),
             "Where the command runs; every worker must see it. Default: the folder of the study file."),
        metrics(),
    };
}

}  // namespace orchestrate
