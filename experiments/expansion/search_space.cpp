#include "experiments/expansion/search_space.h"

#include <algorithm>

#include <fmt/format.h>

#include "experiments/expansion/search_values.h"

namespace orchestrate {
namespace {

constexpr std::size_t kMaxTrials = 100'000;

std::optional<double> as_number(const Value& value) {
    if (const auto* integer = value.as_integer()) {
        return static_cast<double>(*integer);
    }
    if (const auto* number = std::get_if<double>(&value.data)) {
        return *number;
    }
    return std::nullopt;
}

bool is_ascending(const Value& low, const Value& high) {
    return low.as_integer() && high.as_integer() ? *low.as_integer() < *high.as_integer()
                                                 : as_number(low) < as_number(high);
}

// Whether the field takes the value; reports where not.
bool fits(const Field& field, const Value& value, Diagnostics& diagnostics) {
    Settings ignored;
    const std::size_t before = diagnostics.errors();
    field.write(ignored, value, diagnostics);
    return diagnostics.errors() == before;
}

// The value as the field shows it.
std::string shown(const Field& field, const Value& value) {
    Settings settings;
    Diagnostics ignored;
    field.write(settings, value, ignored);
    return field.show(settings);
}

const std::vector<std::string>& kind_names() {
    static const std::vector<std::string> kNames = {"choice", "uniform", "log_uniform", "integer"};
    return kNames;
}

// One entry of the space: a list of choices, or a table with a distribution and perhaps `step` and `when`.
class DistributionReader {
  public:
    DistributionReader(const Assignment& assignment, const NameableFields& fields, Diagnostics& diagnostics)
        : assignment_(assignment), field_(*assignment.field), fields_(fields), diagnostics_(diagnostics) {
        distribution_.field = assignment.field;
        distribution_.where = assignment.key_where;
    }

    std::optional<Distribution> read() {
        const std::size_t before = diagnostics_.errors();
        const auto* table = assignment_.value.as_table();
        if (assignment_.value.as_list()) {
            read_choices(assignment_.value);
        } else if (table && !table->entries.empty()) {
            read_table(*table);
        } else {
            report_unfit(assignment_.value, field_.path + " in [search.space]", expected(), diagnostics_);
        }
        return diagnostics_.errors() == before ? std::optional(distribution_) : std::nullopt;
    }

  private:
    static std::string expected() {
        return "one of { choice = [...] }, { uniform = [low, high] }, { log_uniform = [low, high] }, "
               "{ integer = [low, high] }";
    }

    void read_table(const ValueTable& table) {
        const ValueEntry* kind = nullptr;
        for (const auto& entry : table.entries) {
            if (entry.key == "step" || entry.key == "when") {
                continue;
            }
            const auto at = std::find(kind_names().begin(), kind_names().end(), entry.key);
            if (at == kind_names().end()) {
                diagnostics_.unknown_name(entry.key_where,
                                          "unknown distribution '" + entry.key + "'; expected " + expected(),
                                          entry.key, kind_names());
                return;
            }
            if (kind) {
                diagnostics_.error(entry.key_where, kind->key + " and " + entry.key + " of " + field_.path +
                                                        " contradict each other; expected one of them");
                return;
            }
            kind = &entry;
            distribution_.kind = static_cast<Distribution::Kind>(at - kind_names().begin());
        }
        if (!kind) {
            report_unfit(assignment_.value, field_.path + " in [search.space]", expected(), diagnostics_);
            return;
        }
        if (distribution_.kind == Distribution::Kind::choice) {
            read_choices(kind->value);
        } else {
            read_range(kind->value);
        }
        if (const auto* step = table.find("step")) {
            read_step(step->value);
        }
        if (const auto* when = table.find("when")) {
            read_conditions(when->value);
        }
    }

    void read_choices(const Value& value) {
        const auto* choices = value.as_list();
        if (!choices || choices->empty()) {
            report_unfit(value, "choice", "a list of values", diagnostics_);
            return;
        }
        for (const auto& choice : *choices) {
            fits(field_, choice, diagnostics_);
        }
        distribution_.choices = *choices;
    }

    void read_range(const Value& range) {
        const std::string name = kind_names()[static_cast<std::size_t>(distribution_.kind)];
        const auto* ends = range.as_list();
        const auto low = ends && ends->size() == 2 ? as_number(ends->front()) : std::nullopt;
        const auto high = ends && ends->size() == 2 ? as_number(ends->back()) : std::nullopt;
        if (!low || !high) {
            report_unfit(range, name, "two numbers, [lowest, highest]", diagnostics_);
        } else if (!is_ascending(ends->front(), ends->back())) {
            diagnostics_.error(range.where, name + " needs its lowest end first; expected [lowest, highest]");
        } else if (distribution_.kind == Distribution::Kind::log_uniform && !(*low > 0)) {
            diagnostics_.error(ends->front().where, "log_uniform needs both ends above 0");
        } else if (distribution_.kind == Distribution::Kind::integer &&
                   !(ends->front().as_integer() && ends->back().as_integer())) {
            diagnostics_.error(range.where, "integer needs two integers, [lowest, highest]");
        } else if (distribution_.kind != Distribution::Kind::integer &&
                   field_.type.rfind("integer", 0) == 0) {
            diagnostics_.error(
                range.where, field_.path + " is an integer; expected integer = [lowest, highest]", "integer");
        } else {
            distribution_.low = *low;
            distribution_.high = *high;
            if (distribution_.kind == Distribution::Kind::integer) {
                distribution_.first_integer = *ends->front().as_integer();
                distribution_.last_integer = *ends->back().as_integer();
            }
            fits(field_, ends->front(), diagnostics_);
            fits(field_, ends->back(), diagnostics_);
        }
    }

    void read_step(const Value& value) {
        const auto step = as_number(value);
        if (distribution_.kind == Distribution::Kind::choice) {
            diagnostics_.error(value.where, "a choice has no step; expected one beside a range");
        } else if (!step || !(*step > 0) || !(*step <= distribution_.high - distribution_.low)) {
            report_unfit(value, "step",
                         fmt::format("a number above 0 and at most the range's length, {:.6g}",
                                     distribution_.high - distribution_.low),
                         diagnostics_);
        } else if (distribution_.kind == Distribution::Kind::integer && !value.as_integer()) {
            report_unfit(value, "step", "an integer, as the range is one of integers", diagnostics_);
        } else {
            distribution_.step = *step;
            distribution_.integer_step = value.as_integer() ? *value.as_integer() : 1;
        }
    }

    void read_conditions(const Value& value) {
        for (const auto& [field, values, key_where] :
             read_assignments(value, "when", fields_, diagnostics_)) {
            Condition condition;
            condition.field = field;
            condition.where = key_where;
            Diagnostics ignored;
            const auto* list = values.as_list();
            const bool is_one = !list || list->empty() || fits(*field, values, ignored);
            for (const auto& item : is_one ? std::vector<Value>{values} : *list) {
                if (fits(*field, item, diagnostics_)) {
                    condition.values.push_back(shown(*field, item));
                }
            }
            distribution_.when.push_back(std::move(condition));
        }
    }

    const Assignment& assignment_;
    const Field& field_;
    const NameableFields& fields_;
    Diagnostics& diagnostics_;
    Distribution distribution_;
};

const Distribution* find_distribution(const std::vector<Distribution>& space, const Field* field) {
    const auto found = std::find_if(space.begin(), space.end(), [&](const Distribution& distribution) {
        return distribution.field == field;
    });
    return found == space.end() ? nullptr : &*found;
}

// Reports conditions on fields that are not searched or never have the value.
void check_conditions(const std::vector<Distribution>& space, Diagnostics& diagnostics) {
    for (const auto& distribution : space) {
        for (const auto& condition : distribution.when) {
            const auto* other = find_distribution(space, condition.field);
            if (!other) {
                diagnostics.error(condition.where, "when names " + condition.field->path +
                                                       ", which is not searched; expected a field of "
                                                       "[search.space]");
                continue;
            }
            if (other->kind != Distribution::Kind::choice) {
                continue;
            }
            std::vector<std::string> choices;
            for (const auto& choice : other->choices) {
                choices.push_back(shown(*other->field, choice));
            }
            for (const auto& value : condition.values) {
                if (std::find(choices.begin(), choices.end(), value) == choices.end()) {
                    diagnostics.unknown_name(condition.where,
                                             condition.field->path + " is never '" + value +
                                                 "' in [search.space]; expected " +
                                                 join_alternatives(choices),
                                             value, choices);
                }
            }
        }
    }
}

// Each field after those that its conditions name, otherwise as in the file.
std::vector<Distribution> in_order_of_conditions(std::vector<Distribution> space, Diagnostics& diagnostics) {
    check_conditions(space, diagnostics);
    std::vector<Distribution> ordered;
    while (!space.empty()) {
        const auto is_ready = [&](const Distribution& distribution) {
            return std::none_of(
                distribution.when.begin(), distribution.when.end(),
                [&](const auto& condition) { return find_distribution(space, condition.field) != nullptr; });
        };
        const auto next = std::find_if(space.begin(), space.end(), is_ready);
        if (next == space.end()) {
            diagnostics.error(space.front().when.front().where,
                              "the conditions of " + space.front().field->path +
                                  " lead back to itself; expected one that is drawn before it");
            return ordered;
        }
        ordered.push_back(std::move(*next));
        space.erase(next);
    }
    return ordered;
}

void check_grid(const std::vector<Distribution>& space, Diagnostics& diagnostics) {
    std::size_t product = 1;
    for (const auto& distribution : space) {
        const std::size_t values = count_values(distribution);
        if (values == 0) {
            diagnostics.error(distribution.where,
                              distribution.field->path +
                                  " has infinitely many values; a grid expects choice, integer, or a step "
                                  "beside uniform");
        } else if (product * values > kMaxTrials) {
            diagnostics.error(distribution.where,
                              fmt::format("the factor {} makes the grid {} x {} trials; expected at most {}",
                                          distribution.field->path, product, values, kMaxTrials));
            return;
        } else {
            product *= values;
        }
    }
}

void check_zip(const std::vector<Distribution>& space, Diagnostics& diagnostics) {
    for (const auto& distribution : space) {
        if (distribution.kind != Distribution::Kind::choice) {
            diagnostics.error(
                distribution.where,
                distribution.field->path + " is a range; method = \"zip\" expects lists of choices");
        } else if (!distribution.when.empty()) {
            diagnostics.error(distribution.when.front().where,
                              "when has no place in method = \"zip\", where each trial sets every field");
        } else if (distribution.choices.size() != space.front().choices.size()) {
            diagnostics.error(distribution.where,
                              fmt::format("{} has {} values and {} has {}; method = \"zip\" expects lists of "
                                          "equal length",
                                          space.front().field->path, space.front().choices.size(),
                                          distribution.field->path, distribution.choices.size()));
        }
    }
}

}  // namespace

std::vector<Distribution> read_search_space(const Value& space, SearchMethod method,
                                            const NameableFields& fields, Diagnostics& diagnostics) {
    std::vector<Distribution> result;
    const std::size_t before = diagnostics.errors();
    const auto assignments = read_assignments(space, "search.space", fields, diagnostics);
    for (const auto& assignment : assignments) {
        DistributionReader reader(assignment, fields, diagnostics);
        if (auto distribution = reader.read()) {
            result.push_back(std::move(*distribution));
        }
    }
    if (diagnostics.errors() != before) {
        return result;
    }
    result = in_order_of_conditions(std::move(result), diagnostics);
    if (method == SearchMethod::grid) {
        check_grid(result, diagnostics);
    } else if (method == SearchMethod::zip) {
        check_zip(result, diagnostics);
    }
    if (diagnostics.errors() != before) {
        result.clear();  // what it would make is not tried
    }
    return result;
}

}  // namespace orchestrate
