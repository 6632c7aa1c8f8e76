// The trials of a search: random draws, the product of a grid, or lists side by side.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "common/counter_random.h"
#include "experiments/search_space.h"
#include "experiments/search_values.h"

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
    return rounded_to_digits(value, 4);
}

Value draw(const Distribution& distribution, std::uint64_t seed, std::uint64_t trial) {
    const double unit = unit_random(seed, stream_of(distribution.field->path), trial);
    const double low = distribution.low;
    const double high = distribution.high;
    if (const auto count = count_values(distribution); count > 0) {
        return nth_value(distribution, static_cast<std::size_t>(unit * static_cast<double>(count)));
    }
    const double drawn = distribution.kind == Distribution::Kind::uniform
                             ? low + unit * (high - low)
                             : low * std::exp(unit * std::log(high / low));
    double result = std::clamp(rounded_to_4_digits(drawn), low, high);
    if (distribution.step > 0) {
        const double steps = std::min(std::round((drawn - low) / distribution.step),
                                      std::floor((high - low) / distribution.step * (1 + 1e-12)));
        result = rounded_to_digits(low + steps * distribution.step, 12);
    }
    Value value;
    value.where = distribution.where;
    value.data = result;
    return value;
}

bool holds(const std::vector<Condition>& conditions, const Settings& settings) {
    return std::all_of(conditions.begin(), conditions.end(), [&](const Condition& condition) {
        const auto shown = condition.field->show(settings);
        return std::find(condition.values.begin(), condition.values.end(), shown) != condition.values.end();
    });
}

class Trials {
  public:
    Trials(const std::vector<Distribution>& space, Mistakes& mistakes, const VisitTrial& visit)
        : space_(space), mistakes_(mistakes), visit_(visit) {}

    void draw_randomly(const Settings& base) {
        for (std::int64_t trial = 1; trial <= base.search.trials; ++trial) {
            Settings drawn = base;
            set_.clear();
            for (const auto& distribution : space_) {
                if (holds(distribution.when, drawn)) {
                    write(distribution,
                          draw(distribution, base.search.seed, static_cast<std::uint64_t>(trial)), drawn);
                }
            }
            if (!visit_(trial, drawn, set_)) {
                return;
            }
        }
    }

    void walk_side_by_side(const Settings& base) {
        const std::size_t length = space_.empty() ? 0 : count_values(space_.front());
        for (std::size_t i = 0; i < length; ++i) {
            Settings drawn = base;
            set_.clear();
            for (const auto& distribution : space_) {
                write(distribution, nth_value(distribution, i), drawn);
            }
            if (!visit_(static_cast<std::int64_t>(i) + 1, drawn, set_)) {
                return;
            }
        }
    }

    // All values of the fields from number `from` on; false to stop.
    bool walk_grid(const Settings& settings, std::size_t from) {
        if (from == space_.size()) {
            return visit_(++trial_, settings, set_);
        }
        const auto& distribution = space_[from];
        if (!holds(distribution.when, settings)) {
            return walk_grid(settings, from + 1);
        }
        for (std::size_t i = 0; i < count_values(distribution); ++i) {
            Settings drawn = settings;
            write(distribution, nth_value(distribution, i), drawn);
            const bool goes_on = walk_grid(drawn, from + 1);
            set_.pop_back();
            if (!goes_on) {
                return false;
            }
        }
        return true;
    }

  private:
    void write(const Distribution& distribution, const Value& value, Settings& settings) {
        distribution.field->write(settings, value, mistakes_);
        set_.push_back(distribution.field);
    }

    const std::vector<Distribution>& space_;
    Mistakes& mistakes_;
    const VisitTrial& visit_;
    std::vector<const Field*> set_;
    std::int64_t trial_ = 0;
};

}  // namespace

double rounded_to_digits(double value, int digits) {
    char text[64];
    const auto written =
        std::to_chars(std::begin(text), std::end(text), value, std::chars_format::scientific, digits - 1);
    double result = value;
    std::from_chars(text, written.ptr, result);
    return result;
}

std::size_t count_values(const Distribution& distribution) {
    using Kind = Distribution::Kind;
    if (distribution.kind == Kind::choice) {
        return distribution.choices.size();
    }
    const double step =
        distribution.kind == Kind::integer ? std::max(1.0, distribution.step) : distribution.step;
    if (step <= 0 || distribution.kind == Kind::log_uniform) {
        return 0;
    }
    // A last step that only rounding keeps below the end still counts.
    return static_cast<std::size_t>(std::floor((distribution.high - distribution.low) / step * (1 + 1e-12))) +
           1;
}

Value nth_value(const Distribution& distribution, std::size_t index) {
    if (distribution.kind == Distribution::Kind::choice) {
        return distribution.choices[index];
    }
    Value value;
    value.where = distribution.where;
    if (distribution.kind == Distribution::Kind::integer) {
        const auto step = static_cast<std::int64_t>(std::max(1.0, distribution.step));
        value.data = static_cast<std::int64_t>(distribution.low) + static_cast<std::int64_t>(index) * step;
    } else {
        value.data = rounded_to_digits(distribution.low + static_cast<double>(index) * distribution.step, 12);
    }
    return value;
}

void for_each_trial(const std::vector<Distribution>& space, const Settings& base, Mistakes& mistakes,
                    const VisitTrial& visit) {
    Trials trials(space, mistakes, visit);
    switch (base.search.method) {
        case SearchMethod::random:
            trials.draw_randomly(base);
            break;
        case SearchMethod::grid:
            trials.walk_grid(base, 0);
            break;
        case SearchMethod::zip:
            trials.walk_side_by_side(base);
            break;
    }
}

}  // namespace orchestrate
