#include "results/power.h"

#include <algorithm>
#include <cmath>

#include <boost/math/distributions/non_central_t.hpp>
#include <boost/math/distributions/students_t.hpp>

namespace orchestrate {
namespace {

using boost::math::complement;

constexpr double kCertain = 50;  // times the critical value

}  // namespace

double paired_power(double effect, std::int64_t pairs, const PairedTest& test) {
    const auto freedom = static_cast<double>(pairs - 1);
    const double critical = quantile(complement(boost::math::students_t(freedom), test.significance / 2));
    const double center = std::abs(effect) * std::sqrt(static_cast<double>(pairs));
    if (center > kCertain * critical) {
        return 1;  // to all digits; Boost refuses what is infinite, and loses precision before
    }
    const boost::math::non_central_t statistic(freedom, center);
    return cdf(complement(statistic, critical)) + cdf(statistic, -critical);
}

std::optional<double> smallest_effect(std::int64_t pairs, const PairedTest& test) {
    if (pairs < 2) {
        return std::nullopt;
    }
    double low = 0;
    double high = 1;
    while (paired_power(high, pairs, test) < test.power) {
        low = high;
        high *= 2;
    }
    for (int step = 0; step < 60; ++step) {
        const double middle = (low + high) / 2;
        (paired_power(middle, pairs, test) < test.power ? low : high) = middle;
    }
    return high;
}

std::optional<std::int64_t> pairs_needed(double effect, const PairedTest& test) {
    constexpr std::int64_t kMax = 1'000'000;
    std::int64_t low = 1;  // too few
    std::int64_t high = 2;
    while (paired_power(effect, high, test) < test.power) {
        if (high >= kMax) {
            return std::nullopt;
        }
        low = high;
        high = std::min(2 * high, kMax);
    }
    while (high - low > 1) {
        const std::int64_t middle = (low + high) / 2;
        (paired_power(effect, middle, test) < test.power ? low : high) = middle;
    }
    return high;
}

std::optional<double> paired_p_value(double mean, double deviation, std::int64_t pairs) {
    if (pairs < 2 || !(deviation > 0)) {
        return std::nullopt;
    }
    const double statistic = std::abs(mean) / deviation * std::sqrt(static_cast<double>(pairs));
    return 2 * cdf(complement(boost::math::students_t(static_cast<double>(pairs - 1)), statistic));
}

}  // namespace orchestrate
