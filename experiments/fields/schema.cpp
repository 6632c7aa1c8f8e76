// The JSON Schema of study files, from the table of fields and that of keys.
#include "experiments/fields/schema.h"

#include <functional>

#include "experiments/fields/field_kinds.h"
#include "experiments/fields/table_keys.h"

namespace orchestrate {
namespace {

using namespace field_kinds;

Json reference_to(const std::string& definition) {
    return {{"$ref", "#/$defs/" + definition}};
}

// A value of the field, or "${variable}".
Json value_schema(const Field& field) {
    Json schema = any_of({field.schema, reference_to("variable")});
    std::string description = field.description;
    if (!field.unit.empty()) {
        description += (description.empty() ? "" : " ") + ("Unit: " + field.unit + ".");
    }
    if (!field.default_text.empty()) {
        description += (description.empty() ? "" : " ") + ("Default: " + field.default_text + ".");
    }
    schema["description"] = description;
    return schema;
}

Json table_schema(Json properties) {
    return {{"type", "object"}, {"properties", std::move(properties)}, {"additionalProperties", false}};
}

// Puts a schema at a dotted path below `root`, which is a table; makes the tables on the way.
void place(Json& root, const std::string& path, const Json& schema) {
    Json* at = &root;
    std::size_t begin = 0;
    for (std::size_t dot = path.find('.'); dot != std::string::npos; dot = path.find('.', begin)) {
        Json& child = (*at)["properties"][path.substr(begin, dot - begin)];
        if (child.is_null()) {
            child = table_schema(Json::object());
        }
        at = &child;
        begin = dot + 1;
    }
    (*at)["properties"][path.substr(begin)] = schema;
}

using SchemaOf = std::function<Json(const Field&)>;

// "field = ..." pairs with keys as quoted paths or as nested tables, for the fields that may vary.
Json assignments_schema(const SchemaOf& schema_of) {
    Json root = table_schema(Json::object());
    for (const auto& field : fields()) {
        if (field.may_vary) {
            const Json schema = schema_of(field);
            root["properties"][field.path] = schema;
            place(root, field.path, schema);
        }
    }
    root["minProperties"] = 1;
    return any_of({root, reference_to("parameters")});
}

// Values by the names of parameters, which only the file knows; none of them is a section of fields.
Json parameters_schema() {
    const char* names =
        "^(parameters\\.[A-Za-z0-9_.-]+|(?!(data|tokenizer|model|train)$)[A-Za-z_][A-Za-z0-9_-]*)$";
    return {{"type", "object"}, {"minProperties", 1}, {"propertyNames", {{"pattern", names}}}};
}

// The properties of a table, each with what its key means.
Json described(const std::string& table, Json properties) {
    for (auto property = properties.begin(); property != properties.end(); ++property) {
        property.value()["description"] = table_key(table, property.key()).description;
    }
    return properties;
}

Json distribution_schema(const Field& field) {
    const Json value = value_schema(field);
    const Json number = any_of({{{"type", "number"}}, reference_to("variable")});
    const Json range = {{"type", "array"}, {"minItems", 2}, {"maxItems", 2}, {"items", number}};
    const Json choices = any_of({list_schema(value), reference_to("variable")});
    Json table = table_schema(described("search.space", {{"choice", choices},
                                                         {"uniform", range},
                                                         {"log_uniform", range},
                                                         {"integer", range},
                                                         {"step", number},
                                                         {"when", reference_to("condition")}}));
    Json one_kind = Json::array();
    for (const char* kind : {"choice", "uniform", "log_uniform", "integer"}) {
        one_kind.push_back({{"required", {kind}}});
    }
    table["oneOf"] = std::move(one_kind);
    return any_of({choices, table});
}

Json list_of_names() {
    return any_of({names_schema(), reference_to("variable")});
}

Json with_description(Json schema, const std::string& description) {
    schema["description"] = description;
    return schema;
}

// The keys that make one variant together.
Json edits() {
    return described("ablation", {{"leave_out", list_of_names()},
                                  {"keep_only", list_of_names()},
                                  {"add", list_of_names()},
                                  {"set", reference_to("assignments")}});
}

// The keys that make several variants.
Json factors() {
    const Json names = list_of_names();
    Json subsets = table_schema({{"of", names},
                                 {"size", integer_schema(1, 1'000'000'000)},
                                 {"count", integer_schema(1, 1'000'000'000)},
                                 {"seed", integer_schema(0, 1'000'000'000)}});
    subsets["required"] = {"size"};
    const Json groups = {{"type", "object"}, {"minProperties", 1}, {"additionalProperties", names}};
    Json cross = list_schema(reference_to("factor"));
    cross["minItems"] = 2;
    Json properties = edits();
    properties.update(
        Json{{"leave_one_out", names},
             {"leave_pairs_out", names},
             {"leave_groups_out", groups},
             {"leave_subsets_out", subsets},
             {"keep_one", names},
             {"add_each", names},
             {"sweep", reference_to("sweep")},
             {"variants", {{"type", "object"}, {"additionalProperties", table_schema(edits())}}},
             {"cross", cross}});
    return described("ablation", std::move(properties));
}

Json ablation() {
    const Json text = {{"type", "string"}, {"minLength", 1}};
    Json properties = factors();
    properties.update(Json{{"name", text},
                           {"names", {{"type", "object"}, {"additionalProperties", text}}},
                           {"seeds", seeds_schema()},
                           {"stage", text},
                           {"ranks", integer_schema(1, 4096)}});
    return table_schema(described("ablation", std::move(properties)));
}

Json ensemble() {
    const Json text = {{"type", "string"}, {"minLength", 1}};
    Json schema = table_schema(described(
        "ensemble", {{"members", any_of({names_schema(),
                                         {{"type", "string"}, {"pattern", "^best( [1-9][0-9]*)? of .+$"}}})},
                     {"combine", {{"enum", enum_names<EnsembleRule>()}}},
                     {"across_seeds", {{"type", "boolean"}}},
                     {"stage", text},
                     {"name", text}}));
    schema["required"] = {"members"};
    return schema;
}

Json definitions() {
    Json variable = {{"type", "string"}, {"pattern", "\\$\\{[A-Za-z0-9_-]+\\}"}};
    return {{"variable", variable},
            {"parameters", parameters_schema()},
            {"assignments", assignments_schema(value_schema)},
            {"sweep", assignments_schema([](const Field& field) {
                 return any_of({list_schema(value_schema(field)), reference_to("variable")});
             })},
            {"condition", assignments_schema([](const Field& field) {
                 return any_of({value_schema(field), list_schema(value_schema(field))});
             })},
            {"factor", table_schema(factors())}};
}

}  // namespace

Json schema_of_studies() {
    Json root = table_schema(Json::object());
    root["$schema"] = "https://json-schema.org/draft/2020-12/schema";
    root["title"] = "A study of orchestrate";
    for (const auto& field : fields()) {
        place(root, field.path, value_schema(field));
    }
    place(root, "search.space", assignments_schema(distribution_schema));
    const Json include = with_description(names_schema(), keyed_table("include").description);
    root["properties"]["include"] = include;
    root["properties"]["variables"] = {{"type", "object"},
                                       {"description", keyed_table("variables").description}};
    root["properties"]["parameters"] = {{"type", "object"},
                                        {"description", keyed_table("parameters").description}};
    root["properties"]["stages"] = {
        {"type", "object"},
        {"additionalProperties",
         table_schema(described(
             "stages",
             {{"baseline", {{"type", "string"}, {"pattern", "^(the file|best of .+)$"}}},
              {"rows", {{"type", "string"}, {"pattern", "^(top [1-9][0-9]*|significant) of .+$"}}}}))}};
    root["properties"]["ablation"] = {{"type", "array"}, {"items", ablation()}};
    root["properties"]["ensemble"] = {{"type", "array"}, {"items", ensemble()}};
    root["$defs"] = definitions();
    return root;
}

std::string study_schema() {
    return schema_of_studies().dump(2) + "\n";
}

}  // namespace orchestrate
