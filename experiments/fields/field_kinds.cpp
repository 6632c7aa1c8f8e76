#include "experiments/fields/field_kinds.h"

#include "common/data/cell_values.h"
#include "experiments/syntax/escaped_text.h"

namespace orchestrate {

namespace {

constexpr std::int64_t kMaxSeeds = 10'000;

// Nothing and no report if the table is none of seeds to be crossed.
std::vector<SeedConfig> read_crossed_seeds(const ValueTable& table, const SourceSpan& where,
                                           Diagnostics& diagnostics) {
    const std::vector<std::string> keys = {"initialization", "data_order"};
    const std::size_t before = diagnostics.errors();
    for (const auto& entry : table.entries) {
        if (std::find(keys.begin(), keys.end(), entry.key) == keys.end()) {
            diagnostics.unknown_name(entry.key_where,
                                     "unknown key '" + entry.key +
                                         "' of seeds; expected initialization or "
                                         "data_order",
                                     entry.key, keys);
        } else if (entry.value.as_table()) {
            report_unfit(entry.value, entry.key, "a list of seeds, or how many", diagnostics);
        }
    }
    const auto* initialization = table.find("initialization");
    const auto* data_order = table.find("data_order");
    if (diagnostics.errors() == before && !(initialization && data_order)) {
        diagnostics.error(
            where, "seeds that are crossed need both; expected { initialization = ..., data_order = ... }");
    }
    if (diagnostics.errors() != before) {
        return {};
    }
    const auto first = read_seeds(initialization->value, diagnostics);
    const auto second = read_seeds(data_order->value, diagnostics);
    if (first.size() * second.size() > kMaxSeeds) {
        diagnostics.error(where, fmt::format("these make {} x {} seeds; expected at most {}", first.size(),
                                             second.size(), kMaxSeeds));
        return {};
    }
    std::vector<SeedConfig> seeds;
    for (const auto& weights : first) {
        for (const auto& order : second) {
            seeds.push_back({weights.initialization, order.data_order});
        }
    }
    return seeds;
}

}  // namespace

std::vector<SeedConfig> read_seeds(const Value& value, Diagnostics& diagnostics, const std::string& name) {
    std::vector<SeedConfig> seeds;
    if (const auto* table = value.as_table()) {
        return read_crossed_seeds(*table, value.where, diagnostics);
    }
    if (const auto* count = value.as_integer(); count && *count >= 1 && *count <= kMaxSeeds) {
        for (std::int64_t i = 1; i <= *count; ++i) {
            seeds.push_back({static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(i)});
        }
        return seeds;
    }
    const auto* list = value.as_list();
    if (!list || list->empty()) {
        report_unfit(value, name,
                     fmt::format("a list such as [1, 2, 3], how many (1 to {}), or {{ initialization = 3, "
                                 "data_order = 2 }}",
                                 kMaxSeeds),
                     diagnostics);
        return seeds;
    }
    for (const auto& item : *list) {
        const auto* seed = item.as_integer();
        if (!seed || *seed < 0) {
            report_unfit(item, "a seed", "an integer of at least 0", diagnostics);
            continue;
        }
        const SeedConfig config{static_cast<std::uint64_t>(*seed), static_cast<std::uint64_t>(*seed)};
        if (std::find(seeds.begin(), seeds.end(), config) != seeds.end()) {
            diagnostics.error(item.where,
                              fmt::format("seed {} is listed twice; expected each seed once, since the same "
                                          "seed gives the same numbers",
                                          *seed));
            continue;
        }
        seeds.push_back(config);
    }
    return seeds;
}

Json seeds_schema() {
    using namespace field_kinds;
    Json list = list_schema(integer_schema(0, kNoLimit));
    list["uniqueItems"] = true;
    const Json plain = any_of({integer_schema(1, kMaxSeeds), list});
    return any_of({plain,
                   {{"type", "object"},
                    {"properties", {{"initialization", plain}, {"data_order", plain}}},
                    {"required", {"initialization", "data_order"}},
                    {"additionalProperties", false}}});
}

}  // namespace orchestrate

namespace orchestrate::field_kinds {

Field named_field(std::string path, std::string type, std::string unit, std::string description) {
    Field field;
    field.words = path.substr(path.rfind('.') + 1);
    std::replace(field.words.begin(), field.words.end(), '_', ' ');
    field.path = std::move(path);
    field.type = std::move(type);
    field.unit = std::move(unit);
    field.description = std::move(description);
    return field;
}

Field finished(Field field) {
    if (field.default_text.empty()) {
        field.default_text = field.show(Settings{});
    }
    if (!field.phrase) {
        field.phrase = [words = field.words, show = field.show](const Settings& settings) {
            return words + " " + show(settings);
        };
    }
    return field;
}

Field varying(Field field) {
    field.may_vary = true;
    return field;
}

Field with_words(Field field, std::string words) {
    field.words = std::move(words);
    field.phrase = nullptr;
    return finished(std::move(field));
}

std::string quoted_alternatives(std::span<const std::string> names) {
    std::vector<std::string> quoted;
    for (const auto& name : names) {
        quoted.push_back("\"" + name + "\"");
    }
    return join_alternatives(quoted);
}

std::string integer_range(std::int64_t least, std::int64_t most) {
    return most == kNoLimit ? fmt::format("of at least {}", least)
                            : fmt::format("from {} to {}", least, most);
}

Json integer_schema(std::int64_t least, std::int64_t most) {
    Json schema = {{"type", "integer"}, {"minimum", least}};
    if (most != kNoLimit) {
        schema["maximum"] = most;
    }
    return schema;
}

Json list_schema(Json item) {
    return {{"type", "array"}, {"minItems", 1}, {"items", std::move(item)}};
}

Json any_of(std::vector<Json> schemas) {
    Json alternatives = Json::array();
    for (auto& schema : schemas) {
        alternatives.push_back(std::move(schema));
    }
    Json result;
    result["anyOf"] = std::move(alternatives);
    return result;
}

Json names_schema() {
    const Json name = {{"type", "string"}, {"minLength", 1}};
    Json list = list_schema(name);
    list["uniqueItems"] = true;
    return any_of({name, std::move(list)});
}

bool NumberRange::contains(double number) const {
    return (open_least ? number > least : number >= least) && (open_most ? number < most : number <= most) &&
           number < std::numeric_limits<double>::infinity();
}

Json NumberRange::schema() const {
    Json schema = {{"type", "number"}};
    schema[open_least ? "exclusiveMinimum" : "minimum"] = least;
    if (most != std::numeric_limits<double>::infinity()) {
        schema[open_most ? "exclusiveMaximum" : "maximum"] = most;
    }
    return schema;
}

std::string NumberRange::describe() const {
    const std::string low = fmt::format("{} {}", open_least ? "above" : "of at least", least);
    if (most == std::numeric_limits<double>::infinity()) {
        return low;
    }
    return fmt::format("{} and {} {}", low, open_most ? "below" : "at most", most);
}

}  // namespace orchestrate::field_kinds
