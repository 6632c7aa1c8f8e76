// The trials of a search: random draws, the product of a grid, or lists side by side.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "common/base/counter_random.h"
#include "experiments/expansion/search_space.h"
#include "experiments/expansion/search_values.h"

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

constexpr int kMaxDigits = 17;  // tell any two doubles apart

// Place of a positive number among those of that many significant digits.
double place_among(double value, int digits) {
    const double exponent = std::floor(std::log10(value));
    const double per_decade = 9 * std::pow(10.0, digits - 1);
    return exponent * per_decade + (value / std::pow(10.0, exponent) - 1) * std::pow(10.0, digits - 1);
}

// Numbers of that many significant digits in a range, roughly.
double numbers_in(double low, double high, int digits) {
    if (low > 0) {
        return place_among(high, digits) - place_among(low, digits);
    }
    if (high < 0) {
        return place_among(-low, digits) - place_among(-high, digits);
    }
    return std::numeric_limits<double>::infinity();
}

// Significant digits that real numbers drawn from a range are rounded to: 4, or in a range so narrow that these make
// less than 200 numbers, as many as make 1,000.
int digits_of_range(double low, double high) {
    int digits = 4;
    if (numbers_in(low, high, digits) >= 200) {
        return digits;
    }
    while (digits < kMaxDigits && numbers_in(low, high, digits) < 1000) {
        ++digits;
    }
    return digits;
}

// Significant digits that tell the multiples of a step apart: 12, or more where the step is small beside the range's ends.
int digits_of_steps(const Distribution& distribution) {
    const double largest = std::max(std::abs(distribution.low), std::abs(distribution.high));
    const double digits = std::ceil(std::log10(largest / distribution.step)) + 3;
    return std::clamp(static_cast<int>(digits), 12, kMaxDigits);
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
    double result = std::clamp(rounded_to_digits(drawn, digits_of_range(low, high)), low, high);
    if (distribution.step > 0) {
        const double steps = std::min(std::round((drawn - low) / distribution.step),
                                      std::floor((high - low) / distribution.step * (1 + 1e-12)));
        result = rounded_to_digits(low + steps * distribution.step, digits_of_steps(distribution));
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
    Trials(const std::vector<Distribution>& space, Diagnostics& diagnostics, const VisitTrial& visit)
        : space_(space), diagnostics_(diagnostics), visit_(visit) {}

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
        distribution.field->write(settings, value, diagnostics_);
        set_.push_back(distribution.field);
    }

    const std::vector<Distribution>& space_;
    Diagnostics& diagnostics_;
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
    if (distribution.kind == Kind::integer) {
        const auto length = static_cast<std::uint64_t>(distribution.last_integer) -
                            static_cast<std::uint64_t>(distribution.first_integer);
        return static_cast<std::size_t>(length / static_cast<std::uint64_t>(distribution.integer_step)) + 1;
    }
    const double step = distribution.step;
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
        value.data = static_cast<std::int64_t>(static_cast<std::uint64_t>(distribution.first_integer) +
                                               index * static_cast<std::uint64_t>(distribution.integer_step));
    } else {
        value.data = rounded_to_digits(distribution.low + static_cast<double>(index) * distribution.step,
                                       digits_of_steps(distribution));
    }
    return value;
}

void for_each_trial(const std::vector<Distribution>& space, const Settings& base, Diagnostics& diagnostics,
                    const VisitTrial& visit) {
    Trials trials(space, diagnostics, visit);
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
