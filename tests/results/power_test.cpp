// Power of the paired t-test, against SciPy 1.17: the noncentral t integrated numerically,
//     quad(lambda u: (norm.cdf(nc - c*u) + norm.cdf(-nc - c*u)) * chi.pdf(u*sqrt(df), df) * sqrt(df), 0, 12)
// with nc = effect * sqrt(n) and c = t.ppf(0.975, df); smallest effects by brentq.
#include "results/power.h"

#include <limits>

#include <gtest/gtest.h>

namespace orchestrate {
namespace {

struct Expected {
    std::int64_t pairs;
    double smallest_effect;
    double power_of_one;
    double power_of_half;
};

const Expected kExpected[] = {{2, 11.549888435882309, 0.09280915505633613, 0.06194860668713366},
                              {3, 3.2640435496995766, 0.17925539377655184, 0.08410705589638943},
                              {4, 2.1279493432578067, 0.2887524164017151, 0.1112749155170093},
                              {5, 1.681996965955556, 0.4013899173717953, 0.14051668999029823},
                              {8, 1.156034677994733, 0.6808339582062666, 0.23207700463899164},
                              {10, 0.9960013714554435, 0.8030968566327219, 0.2931756065140768},
                              {20, 0.6604416546230271, 0.9885912947787744, 0.5645044184390201},
                              {50, 0.404183002136036, 0.9999996612426996, 0.9338975812613614},
                              {200, 0.19906417540670632, 1.0, 0.9999998079562848}};

TEST(Power, IsThatOfTheNoncentralT) {
    for (const auto& expected : kExpected) {
        EXPECT_NEAR(paired_power(1, expected.pairs), expected.power_of_one, 1e-9) << expected.pairs;
        EXPECT_NEAR(paired_power(-0.5, expected.pairs), expected.power_of_half, 1e-9) << expected.pairs;
        ASSERT_TRUE(smallest_effect(expected.pairs));
        EXPECT_NEAR(*smallest_effect(expected.pairs), expected.smallest_effect,
                    1e-8 * expected.smallest_effect)
            << expected.pairs;
    }
    EXPECT_FALSE(smallest_effect(1));
}

TEST(Power, SaysHowManyPairsAreNeeded) {
    EXPECT_EQ(pairs_needed(0.1), 787);
    EXPECT_EQ(pairs_needed(0.25), 128);
    EXPECT_EQ(pairs_needed(0.5), 34);
    EXPECT_EQ(pairs_needed(1), 10);
    EXPECT_EQ(pairs_needed(2), 5);
    EXPECT_EQ(pairs_needed(3), 4);
    EXPECT_EQ(pairs_needed(100), 2);
    EXPECT_FALSE(pairs_needed(1e-5));
    for (const double enormous : {1e6, 5e16, 1e300, std::numeric_limits<double>::infinity()}) {
        EXPECT_EQ(pairs_needed(enormous), 2) << enormous;
        EXPECT_EQ(paired_power(enormous, 2), 1) << enormous;
        EXPECT_EQ(paired_power(-enormous, 1000), 1) << enormous;
    }
}

TEST(Power, OfNoEffectIsTheSignificance) {
    EXPECT_NEAR(paired_power(0, 7), 0.05, 1e-12);
    EXPECT_NEAR(paired_power(0, 7, {0.01, 0.8}), 0.01, 1e-12);
}

// scipy.stats.ttest_rel of differences 1, 2 and 4.5: statistic 2.401922307076307, p 0.13827251556786088
TEST(PValue, IsThatOfThePairedTTest) {
    const double mean = 2.5;
    const double deviation = 1.8027756377319946;
    ASSERT_TRUE(paired_p_value(mean, deviation, 3));
    EXPECT_NEAR(*paired_p_value(mean, deviation, 3), 0.13827251556786088, 1e-12);
    EXPECT_EQ(paired_p_value(-mean, deviation, 3), paired_p_value(mean, deviation, 3));
    EXPECT_FALSE(paired_p_value(mean, deviation, 1));
    EXPECT_FALSE(paired_p_value(mean, 0, 3));
}

}  // namespace
}  // namespace orchestrate
