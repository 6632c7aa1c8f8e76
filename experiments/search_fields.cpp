#include "experiments/search_fields.h"

#include "experiments/field_access.h"
#include "experiments/field_kinds.h"

namespace orchestrate {
namespace {

using namespace field_kinds;

Field select_by() {
    std::vector<std::string> choices;
    for (const auto& part : enum_names<SelectionPart>()) {
        for (const auto& metric : enum_names<SelectionMetric>()) {
            choices.push_back(part + " " + metric);
        }
    }
    Field field =
        named_field("search.select_by", quoted_alternatives(choices), "",
                    "The best by the mean over seeds becomes the ablations' baseline; of equal ones the "
                    "earlier.");
    field.schema = {{"enum", choices}};
    field.write = [choices](Settings& settings, const Value& value, Mistakes& mistakes) {
        const auto* found = value.as_text();
        if (!found || std::find(choices.begin(), choices.end(), *found) == choices.end()) {
            mistakes.unknown_name(value.where,
                                  "search.select_by cannot be " + value.describe() + "; expected " +
                                      quoted_alternatives(choices),
                                  found ? *found : "", choices);
            return;
        }
        const std::size_t space = found->find(' ');
        settings.search.select_part = *enum_from_name<SelectionPart>(found->substr(0, space));
        settings.search.select_by = *enum_from_name<SelectionMetric>(found->substr(space + 1));
    };
    field.show = [](const Settings& settings) {
        return to_string(settings.search.select_part) + " " + to_string(settings.search.select_by);
    };
    return finished(std::move(field));
}

}  // namespace

std::vector<Field> search_fields() {
    return {
        one_of<SearchMethod>(
            "search.method", AT(search.method),
            "`\"random\"` draws; `\"grid\"`: every combination; `\"zip\"`: the first value of "
            "every list, then the second of every list, ..."),
        integer("search.trials", "variants", 1, 100'000, AT(search.trials),
                "Random draws from `[search.space]`; a larger number keeps the first ones. A grid has as "
                "many as it makes."),
        integer("search.seed", "", 0, kNoLimit, AT(search.seed), "Of the draws."),
        select_by(),
        seeds("search.seeds", AT(search.seeds), "the study's", "Of each trial."),
        with_words(
            integer("search.ranks", "processes", 0, 4096, AT(search.ranks), "Of each trial; 0: the study's."),
            "ranks"),
    };
}

}  // namespace orchestrate
