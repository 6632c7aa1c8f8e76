// Probabilities come back as they were packed, also of extreme shapes, and damage is noticed.
#include "common/metrics/packed_probabilities.h"

#include <random>

#include <gtest/gtest.h>

namespace orchestrate {
namespace {

TEST(PackedProbabilitiesTest, ComeBackAsTheyWere) {
    std::mt19937 random(1);
    for (const std::int64_t classes : {1, 2, 114}) {
        for (const std::int64_t rows : {0, 1, 257}) {
            std::vector<std::uint16_t> values(static_cast<std::size_t>(rows * classes));
            for (auto& value : values) {
                value = static_cast<std::uint16_t>(random());
            }
            const auto packed = pack_probabilities(values, classes);
            EXPECT_EQ(packed.rows, rows);
            EXPECT_EQ(unpack_probabilities(packed), values) << rows << " x " << classes;
        }
    }
}

TEST(PackedProbabilitiesTest, AProbabilityLosesLessThanHalfAStep) {
    for (int i = 0; i <= 1000; ++i) {
        const double probability = i / 1000.0;
        EXPECT_NEAR(from_fixed_point(fixed_point(probability)), probability, 0.5 / 65535 + 1e-15);
    }
    EXPECT_EQ(fixed_point(-1), 0);
    EXPECT_EQ(fixed_point(2), 65535);
}

TEST(PackedProbabilitiesTest, DamageIsNoticed) {
    auto packed = pack_probabilities(std::vector<std::uint16_t>(100, 7), 10);
    auto cut = packed;
    cut.data.values.pop_back();
    EXPECT_THROW(unpack_probabilities(cut), std::runtime_error);
    packed.rows = 11;
    EXPECT_THROW(unpack_probabilities(packed), std::runtime_error);
    packed.rows = std::int64_t{1} << 62;
    EXPECT_THROW(unpack_probabilities(packed), std::runtime_error);
}

}  // namespace
}  // namespace orchestrate
