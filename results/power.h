// What differences a paired t-test can find with so many pairs: the power of the two-sided one-sample t-test on
// differences, from the noncentral t distribution (Cohen 1988, Statistical Power Analysis, chapter 2).
#pragma once

#include <cstdint>
#include <optional>

namespace orchestrate {

struct PairedTest {
    double significance = 0.05;  // two-sided
    double power = 0.8;
};

// The probability that the test finds a true mean difference of `effect` standard deviations of the differences; 1 for an
// infinite one. `pairs` is at least 2.
double paired_power(double effect, std::int64_t pairs, const PairedTest& test = {});

// The smallest effect, in standard deviations of the differences, that is found with the test's power; nothing for
// fewer than two pairs.
std::optional<double> smallest_effect(std::int64_t pairs, const PairedTest& test = {});

// How many pairs find this effect (above 0) with the test's power; nothing if more than a million.
std::optional<std::int64_t> pairs_needed(double effect, const PairedTest& test = {});

// Two-sided p-value of a mean difference with its standard deviation over `pairs` differences; nothing for fewer
// than two pairs or no spread.
std::optional<double> paired_p_value(double mean, double deviation, std::int64_t pairs);

}  // namespace orchestrate
