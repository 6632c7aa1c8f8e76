#include "experiments/fields/model_fields.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "experiments/fields/field_kinds.h"

namespace orchestrate {
namespace {

using namespace field_kinds;

constexpr std::int64_t kMaxLayers = 256;
constexpr std::int64_t kMaxUnits = 65536;

// Different whole numbers from 0 to most - 1, ascending; nothing (reported) if it is no list of them.
std::optional<std::vector<std::int64_t>> read_numbers(const Value& value, const std::string& name,
                                                      const std::string& expected, std::int64_t most,
                                                      Diagnostics& diagnostics) {
    const auto* list = value.as_list();
    if (!list || list->empty()) {
        report_unfit(value, name, expected, diagnostics);
        return std::nullopt;
    }
    std::vector<std::int64_t> numbers;
    for (const auto& item : *list) {
        const auto* number = item.as_integer();
        if (!number || *number < 0 || *number >= most) {
            report_unfit(item, name, fmt::format("integers from 0 to {}", most - 1), diagnostics);
            return std::nullopt;
        }
        if (std::find(numbers.begin(), numbers.end(), *number) != numbers.end()) {
            diagnostics.error(item.where,
                              fmt::format("{} lists {} twice; expected each once", name, *number));
            return std::nullopt;
        }
        numbers.push_back(*number);
    }
    std::sort(numbers.begin(), numbers.end());
    return numbers;
}

Json layers_schema(std::int64_t last) {
    Json list = list_schema(integer_schema(0, last));
    list["uniqueItems"] = true;
    return list;
}

std::string shown_numbers(const std::vector<std::int64_t>& numbers) {
    std::vector<std::string> texts;
    for (const auto number : numbers) {
        texts.push_back(fmt::format("{}", number));
    }
    return texts.empty() ? "all" : join_and(texts);
}

bool is_all(const Value& value) {
    return value.as_text() && *value.as_text() == "all";
}

struct NumberSpan {
    std::int64_t first = 0;
    std::int64_t last = 0;
};

// "7" or "3-9".
std::optional<NumberSpan> read_span(std::string_view text) {
    const auto read = [](std::string_view digits) -> std::optional<std::int64_t> {
        std::int64_t number = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
        const bool whole = error == std::errc{} && end == digits.data() + digits.size();
        return whole && number >= 0 && number < kMaxUnits ? std::optional(number) : std::nullopt;
    };
    const auto dash = text.find('-');
    const auto first = read(text.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : read(text.substr(dash + 1));
    if (!first || !last || *last < *first) {
        return std::nullopt;
    }
    return NumberSpan{*first, *last};
}

// Appends the units that one text names; false if it names none.
bool read_units(std::string_view text, bool has_layers, std::vector<ModelUnit>& units) {
    std::int64_t layer = 0;
    if (has_layers) {
        const auto dot = text.find('.');
        const auto found = read_span(text.substr(0, dot));
        if (dot == std::string_view::npos || !found || found->first != found->last ||
            found->first >= kMaxLayers) {
            return false;
        }
        layer = found->first;
        text.remove_prefix(dot + 1);
    }
    const auto span = read_span(text);
    for (std::int64_t unit = span ? span->first : 0; span && unit <= span->last; ++unit) {
        units.push_back({layer, unit});
    }
    return span.has_value();
}

std::vector<std::string> shown_units(const std::vector<ModelUnit>& units, bool has_layers) {
    std::vector<std::string> shown;
    for (std::size_t begin = 0; begin < units.size();) {
        std::size_t end = begin + 1;
        while (end < units.size() && units[end].layer == units[begin].layer &&
               units[end].unit == units[end - 1].unit + 1) {
            ++end;
        }
        std::string text = has_layers ? fmt::format("{}.", units[begin].layer) : "";
        text += fmt::format("{}", units[begin].unit);
        if (end > begin + 1) {
            text += fmt::format("-{}", units[end - 1].unit);
        }
        shown.push_back(std::move(text));
        begin = end;
    }
    return shown;
}

Field units_field(const std::string& path, const std::string& words, UnitMask ModelConfig::*mask,
                  bool has_layers) {
    const std::string example = has_layers ? "\"0.3\" or \"1.16-31\" (layer.unit)" : "\"3\" or \"16-31\"";
    Field field = named_field(path, "list of texts", "", "Masked by name: " + example + "; layers from 0.");
    field.default_text = "none";
    const std::string number = "[0-9]+(-[0-9]+)?";
    field.schema = {
        {"type", "array"},
        {"items",
         {{"type", "string"}, {"pattern", "^" + (has_layers ? "[0-9]+\\." + number : number) + "$"}}}};
    field.write = [=](Settings& settings, const Value& value, Diagnostics& diagnostics) {
        const auto* list = value.as_list();
        std::vector<ModelUnit> units;
        bool fits = list != nullptr;
        for (std::size_t i = 0; fits && i < list->size(); ++i) {
            const auto* text = (*list)[i].as_text();
            if (!text || !read_units(*text, has_layers, units)) {
                report_unfit((*list)[i], path, "units such as " + example, diagnostics);
                return;
            }
        }
        if (!fits) {
            report_unfit(value, path, "a list of units such as " + example, diagnostics);
            return;
        }
        const auto by_place = [](const ModelUnit& a, const ModelUnit& b) {
            return std::pair(a.layer, a.unit) < std::pair(b.layer, b.unit);
        };
        std::sort(units.begin(), units.end(), by_place);
        units.erase(std::unique(units.begin(), units.end()), units.end());
        (settings.job.model.*mask).units = std::move(units);
    };
    field.show = [=](const Settings& settings) {
        return join_and(shown_units((settings.job.model.*mask).units, has_layers));
    };
    field.phrase = [=](const Settings& settings) {
        const auto shown = shown_units((settings.job.model.*mask).units, has_layers);
        return shown.empty() ? "all " + words : "without " + words + " " + join_and(shown);
    };
    return varying(finished(std::move(field)));
}

}  // namespace

Field kept_layers_field() {
    Field field =
        named_field("model.kept_layers", "\"all\", integer or list of integers", "",
                    "Encoder layers kept, from 0; an integer: so many from the first. The others are left "
                    "out of the model, and their neighbours joined.");
    field.schema = any_of({{{"const", "all"}}, integer_schema(1, kMaxLayers), layers_schema(kMaxLayers - 1)});
    field.write = [name = field.path](Settings& settings, const Value& value, Diagnostics& diagnostics) {
        const std::string expected = "\"all\", how many of the first layers, or a list such as [0, 2, 3]";
        const auto* count = value.as_integer();
        if (is_all(value)) {
            settings.job.model.kept_layers.clear();
        } else if (count && *count >= 1 && *count <= kMaxLayers) {
            settings.job.model.kept_layers.clear();
            for (std::int64_t layer = 0; layer < *count; ++layer) {
                settings.job.model.kept_layers.push_back(layer);
            }
        } else if (auto layers = read_numbers(value, name, expected, kMaxLayers, diagnostics)) {
            settings.job.model.kept_layers = std::move(*layers);
        }
    };
    field.show = [](const Settings& settings) { return shown_numbers(settings.job.model.kept_layers); };
    field.phrase = [](const Settings& settings) {
        const auto& layers = settings.job.model.kept_layers;
        if (layers.empty()) {
            return std::string("all layers");
        }
        if (layers.size() == 1) {
            return layers.front() == 0 ? std::string("first layer")
                                       : fmt::format("layer {} alone", layers.front());
        }
        const bool first_ones = layers.back() + 1 == static_cast<std::int64_t>(layers.size());
        return first_ones ? fmt::format("first {} layers", layers.size()) : "layers " + shown_numbers(layers);
    };
    return varying(finished(std::move(field)));
}

Field position_embeddings_field() {
    const auto access = [](auto& settings) -> auto& {
        return settings.job.model.position_embeddings;
    };
    Field field = one_of<PositionEmbeddings>("model.position_embeddings", access,
                                             "Trained, kept at their initial values, or left out.");
    field.phrase = [=](const Settings& settings) {
        const std::string name = to_string(access(settings));
        return (name == "none" ? "no" : name) + " position embeddings";
    };
    return varying(std::move(field));
}

Field fused_layers_field() {
    Field field =
        named_field("model.fused_layers", "\"all\" or list of integers", "",
                    "Hidden states that `layer_fusion` reads: 0 the embeddings, n the output of the n-th "
                    "kept layer; `\"all\"`: the output of every layer.");
    field.schema = any_of({{{"const", "all"}}, layers_schema(kMaxLayers)});
    field.write = [name = field.path](Settings& settings, const Value& value, Diagnostics& diagnostics) {
        const std::string expected = "\"all\" or a list such as [1, 2, 4]";
        if (is_all(value)) {
            settings.job.model.fused_layers.clear();
        } else if (auto layers = read_numbers(value, name, expected, kMaxLayers + 1, diagnostics)) {
            settings.job.model.fused_layers = std::move(*layers);
        }
    };
    field.show = [](const Settings& settings) { return shown_numbers(settings.job.model.fused_layers); };
    return varying(finished(std::move(field)));
}

Field frozen_embeddings_field() {
    const auto access = [](auto& settings) -> auto& {
        return settings.job.train.frozen_embeddings;
    };
    Field field = flag("train.frozen_embeddings", access, "The embeddings and their norm are not trained.");
    field.phrase = [=](const Settings& settings) {
        return std::string(access(settings) ? "frozen" : "trained") + " embeddings";
    };
    return varying(std::move(field));
}

Field frozen_layers_field() {
    Field field = named_field("train.frozen_layers", "integer or \"all\"", "layers",
                              "Of the kept encoder layers, so many from the lowest are not trained.");
    field.range = integer_range(0, kMaxLayers);
    field.schema = any_of({{{"const", "all"}}, integer_schema(0, kMaxLayers)});
    field.write = [name = field.path](Settings& settings, const Value& value, Diagnostics& diagnostics) {
        const auto* count = value.as_integer();
        if (is_all(value)) {
            settings.job.train.frozen_layers = kAllLayers;
        } else if (count && *count >= 0 && *count <= kMaxLayers) {
            settings.job.train.frozen_layers = *count;
        } else {
            report_unfit(value, name, fmt::format("an integer from 0 to {}, or \"all\"", kMaxLayers),
                         diagnostics);
        }
    };
    field.show = [](const Settings& settings) {
        const auto count = settings.job.train.frozen_layers;
        return count == kAllLayers ? std::string("all") : fmt::format("{}", count);
    };
    field.phrase = [](const Settings& settings) {
        const auto count = settings.job.train.frozen_layers;
        return count == kAllLayers ? std::string("all layers frozen")
               : count == 0        ? std::string("no layers frozen")
               : count == 1        ? std::string("lowest layer frozen")
                                   : fmt::format("lowest {} layers frozen", count);
    };
    return varying(finished(std::move(field)));
}

std::vector<Field> unit_mask_fields(const std::string& path, const std::string& words,
                                    UnitMask ModelConfig::*mask, bool has_layers) {
    const auto settings_of = [mask](auto& settings) -> auto& {
        return settings.job.model.*mask;
    };
    const auto share = [=](auto& settings) -> auto& {
        return settings_of(settings).share;
    };
    const auto choice = [=](auto& settings) -> auto& {
        return settings_of(settings).choice;
    };
    const auto seed = [=](auto& settings) -> auto& {
        return settings_of(settings).seed;
    };
    const auto phrase = [=](const Settings& settings) {
        const std::string by = choice(settings) == UnitChoice::random              ? "at random"
                               : choice(settings) == UnitChoice::lowest_activation ? "by lowest activation"
                                                                                   : "by lowest gradient";
        return fmt::format("{:.3g} % of {} masked {}", 100 * share(settings), words, by);
    };
    Field share_field = number(path + ".share", "share of units", {0, 1, false, true}, share,
                               "Masked besides those, in each layer.");
    Field choice_field = one_of<UnitChoice>(
        path + ".choice", choice,
        "Which units make up the share: drawn by `seed`, or those with the lowest mean absolute output, or "
        "output times gradient, over (at most 2,048 rows of) the training part at the initial weights.");
    share_field.phrase = phrase;
    choice_field.phrase = phrase;
    return {
        units_field(path + ".units", words, mask, has_layers),
        varying(std::move(share_field)),
        varying(std::move(choice_field)),
        varying(with_words(integer(path + ".seed", "", 0, kNoLimit, seed,
                                   "Of a random choice; a larger share holds the smaller one."),
                           words + " mask seed")),
    };
}

}  // namespace orchestrate
