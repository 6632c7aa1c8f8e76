#include "experiments/fields/search_fields.h"

#include "experiments/fields/field_access.h"
#include "experiments/fields/field_kinds.h"

namespace orchestrate {
namespace {

using namespace field_kinds;

Field select_by() {
    Field field =
        named_field("search.select_by", "\"validation METRIC\" or \"test METRIC\"", "",
                    "The best by the mean over seeds becomes the ablations' baseline; of equal ones the "
                    "earlier. Any metric that the jobs report; with [command] one of its metrics, the first "
                    "one unless said otherwise.");
    field.schema = {{"type", "string"}, {"pattern", "^(validation|test) .+$"}};
    // Whether there is such a metric is checked once all of [command] is known.
    field.write = [](Settings& settings, const Value& value, Diagnostics& diagnostics) {
        const auto* found = value.as_text();
        const std::size_t space = found ? found->find(' ') : std::string::npos;
        const auto part =
            space == std::string::npos ? std::nullopt : enum_from_name<MetricPart>(found->substr(0, space));
        if (!part || space + 1 == found->size()) {
            diagnostics.error(value.where,
                              "search.select_by cannot be " + value.describe() +
                                  "; expected a part of the data and a metric, e.g. \"validation macro_f1\"");
            return;
        }
        settings.search.select_by = {*part, found->substr(space + 1)};
    };
    field.show = [](const Settings& settings) {
        MetricKey key = settings.search.select_by;
        if (key.name.empty()) {
            key.name = default_selection(settings);
        }
        return to_string(key);
    };
    return finished(std::move(field));
}

Field rungs() {
    Field field = named_field("search.rungs", "list of integers", "epochs",
                              "Successive halving: after so many epochs trials are compared by `select_by`, "
                              "and only the best 1 / `reduction_factor` go on from their checkpoints. "
                              "Default: none.");
    field.range = "ascending, below `train.epochs`";
    field.schema = list_schema(integer_schema(1, 100'000));
    field.write = [](Settings& settings, const Value& value, Diagnostics& diagnostics) {
        const auto* list = value.as_list();
        std::vector<std::int64_t> found;
        bool fits = list && !list->empty();
        for (const auto& item : fits ? *list : std::vector<Value>{}) {
            const auto* epochs = item.as_integer();
            fits = fits && epochs && *epochs >= 1 && (found.empty() || *epochs > found.back());
            found.push_back(epochs ? *epochs : 0);
        }
        if (fits) {
            settings.search.rungs = found;
        } else {
            report_unfit(value, "search.rungs", "a list of ascending numbers of epochs, e.g. [1, 3]",
                         diagnostics);
        }
    };
    field.show = [](const Settings& settings) {
        std::vector<std::string> found;
        for (const auto rung : settings.search.rungs) {
            found.push_back(fmt::format("{}", rung));
        }
        return join_and(found);
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
        rungs(),
        integer("search.min_epochs", "epochs", 0, 100'000, AT(search.min_epochs),
                "Instead of `rungs`: the first one; each further one is `reduction_factor` times as late."),
        integer("search.reduction_factor", "", 2, 1000, AT(search.reduction_factor),
                "Of successive halving: 1 / so many of the trials at a rung go on."),
        flag("search.deterministic", AT(search.deterministic),
             "Of successive halving: trials go on once all have arrived at their rung, so that the same ones "
             "do in "
             "whatever order; otherwise (ASHA) as soon as they are among the best of those that have "
             "arrived."),
    };
}

}  // namespace orchestrate
