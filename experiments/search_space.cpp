#include "experiments/search_space.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "common/counter_random.h"

namespace orchestrate {
namespace {

// FNV-1a: a stream of random numbers of its own for each field.
std::uint64_t stream_of(const std::string& name) {
    std::uint64_t hash = 0xCBF29CE484222325ULL;
    for (const char c : name) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
    }
    return hash;
}

// In [0, 1), a multiple of 2^-53.
double unit_random(std::uint64_t seed, std::uint64_t stream, std::uint64_t counter) {
    return static_cast<double>(counter_random(seed, stream, counter) >> 11) * 0x1.0p-53;
}

double rounded_to_4_digits(double value) {
    char digits[64];
    const auto written =
        std::to_chars(std::begin(digits), std::end(digits), value, std::chars_format::scientific, 3);
    double result = value;
    std::from_chars(digits, written.ptr, result);
    return result;
}

std::optional<double> as_number(const Value& value) {
    if (const auto* integer = value.as_integer()) {
        return static_cast<double>(*integer);
    }
    if (const auto* number = std::get_if<double>(&value.data)) {
        return *number;
    }
    return std::nullopt;
}

// Whether the field takes the value; reports where not.
bool fits(const Field& field, const Value& value, Mistakes& mistakes) {
    Settings ignored;
    const std::size_t before = mistakes.errors();
    field.write(ignored, value, mistakes);
    return mistakes.errors() == before;
}

const std::vector<std::string>& kind_names() {
    static const std::vector<std::string> kNames = {"choice", "uniform", "log_uniform", "integer"};
    return kNames;
}

bool read_range(const Value& range, Distribution& distribution, Mistakes& mistakes) {
    const std::string name = kind_names()[static_cast<std::size_t>(distribution.kind)];
    const auto* ends = range.as_list();
    const auto low = ends && ends->size() == 2 ? as_number(ends->front()) : std::nullopt;
    const auto high = ends && ends->size() == 2 ? as_number(ends->back()) : std::nullopt;
    if (!low || !high) {
        report_unfit(range, name, "two numbers, [lowest, highest]", mistakes);
        return false;
    }
    if (!(*low < *high)) {
        mistakes.error(range.where, name + " needs its lowest end first; expected [lowest, highest]");
        return false;
    }
    if (distribution.kind == Distribution::Kind::log_uniform && !(*low > 0)) {
        mistakes.error(ends->front().where, "log_uniform needs both ends above 0");
        return false;
    }
    if (distribution.kind == Distribution::Kind::integer &&
        !(ends->front().as_integer() && ends->back().as_integer())) {
        mistakes.error(range.where, "integer needs two integers, [lowest, highest]");
        return false;
    }
    if (distribution.kind != Distribution::Kind::integer &&
        distribution.field->type.rfind("integer", 0) == 0) {
        mistakes.error(range.where,
                       distribution.field->path + " is an integer; expected integer = [lowest, highest]",
                       "integer");
        return false;
    }
    distribution.low = *low;
    distribution.high = *high;
    const bool low_fits = fits(*distribution.field, ends->front(), mistakes);
    return fits(*distribution.field, ends->back(), mistakes) && low_fits;
}

}  // namespace

std::vector<Distribution> read_search_space(const Value& space, Mistakes& mistakes) {
    std::vector<Distribution> result;
    for (const auto& [field, value, key_where] : read_assignments(space, "search.space", mistakes)) {
        const std::string expected =
            "one of { choice = [...] }, { uniform = [low, high] }, { log_uniform = [low, high] }, "
            "{ integer = [low, high] }";
        const auto* table = value.as_table();
        if (!table || table->entries.size() != 1) {
            report_unfit(value, field->path + " in [search.space]", expected, mistakes);
            continue;
        }
        const auto& [kind_name, kind_where, argument] = table->entries.front();
        const auto at = std::find(kind_names().begin(), kind_names().end(), kind_name);
        if (at == kind_names().end()) {
            mistakes.unknown_name(kind_where,
                                  "unknown distribution '" + kind_name + "'; expected " + expected, kind_name,
                                  kind_names());
            continue;
        }
        Distribution distribution;
        distribution.kind = static_cast<Distribution::Kind>(at - kind_names().begin());
        distribution.field = field;
        distribution.where = key_where;
        if (distribution.kind != Distribution::Kind::choice) {
            if (read_range(argument, distribution, mistakes)) {
                result.push_back(distribution);
            }
            continue;
        }
        const auto* choices = argument.as_list();
        if (!choices || choices->empty()) {
            report_unfit(argument, "choice", "a list of values", mistakes);
            continue;
        }
        bool all_fit = true;
        for (const auto& choice : *choices) {
            all_fit = fits(*field, choice, mistakes) && all_fit;
        }
        if (all_fit) {
            distribution.choices = *choices;
            result.push_back(distribution);
        }
    }
    return result;
}

Value draw(const Distribution& distribution, std::uint64_t seed, std::uint64_t trial) {
    const double unit = unit_random(seed, stream_of(distribution.field->path), trial);
    const double low = distribution.low;
    const double high = distribution.high;
    Value value;
    value.where = distribution.where;
    switch (distribution.kind) {
        case Distribution::Kind::choice: {
            const auto count = static_cast<double>(distribution.choices.size());
            return distribution.choices[static_cast<std::size_t>(unit * count)];
        }
        case Distribution::Kind::uniform:
            value.data = std::clamp(rounded_to_4_digits(low + unit * (high - low)), low, high);
            break;
        case Distribution::Kind::log_uniform:
            value.data =
                std::clamp(rounded_to_4_digits(low * std::exp(unit * std::log(high / low))), low, high);
            break;
        case Distribution::Kind::integer:
            value.data = static_cast<std::int64_t>(std::min(high, low + std::floor(unit * (high - low + 1))));
            break;
    }
    return value;
}

}  // namespace orchestrate
