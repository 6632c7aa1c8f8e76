// The random numbers behind initial weights, order and dropout; batches and their cut over ranks.
#include <cmath>
#include <numbers>
#include <numeric>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/training/batches/batches.h"
#include "worker/training/kernels/kernels.h"

namespace orchestrate {
namespace {

// The known answers that come with Random123 for philox4x32-10.
TEST(Philox, KnownAnswers) {
    EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}),
              (std::array<std::uint32_t, 4>{0x6627e8d5U, 0xe169c58dU, 0xbc57ac4cU, 0x9b00dbd8U}));
    EXPECT_EQ(philox({0xffffffffU, 0xffffffffU, 0xffffffffU, 0xffffffffU}, {0xffffffffU, 0xffffffffU}),
              (std::array<std::uint32_t, 4>{0x408f276dU, 0x41c83b0eU, 0xa20bc7c6U, 0x6d5451fdU}));
    EXPECT_EQ(philox({0x243f6a88U, 0x85a308d3U, 0x13198a2eU, 0x03707344U}, {0xa4093822U, 0x299f31d0U}),
              (std::array<std::uint32_t, 4>{0xd16cfe09U, 0x94fdccebU, 0x5001e420U, 0x24126ea1U}));
}

TEST(DropoutMask, EveryInstructionSetGivesTheDefinedBits) {
    const Dropout dropout = make_dropout(5, 17, 3, 0.1);
    const std::vector<TokenKey> keys = {{0, 0}, {0, 1}, {9, 4}};
    for (const std::int64_t columns : {1L, 39L, 64L, 200L, 3000L}) {
        std::vector<float> random(static_cast<std::size_t>(columns + 64));
        std::vector<float> mask(keys.size() * static_cast<std::size_t>(columns));
        for (const Kernels* const kernels : runnable_kernels()) {
            kernels->dropout_mask({0, 3}, columns, dropout, keys.data(), mask.data(), random.data());
            for (std::size_t row = 0; row < keys.size(); ++row) {
                for (std::int64_t i = 0; i < columns; ++i) {
                    const bool dropped =
                        dropout_random(dropout, keys[row], static_cast<std::uint32_t>(i)) < dropout.threshold;
                    ASSERT_EQ(mask[row * static_cast<std::size_t>(columns) + static_cast<std::size_t>(i)],
                              dropped ? 0.0F : dropout.scale)
                        << kernels->instruction_set << " row " << row << " element " << i << " of "
                        << columns;
                }
            }
        }
    }
}

TEST(DropoutMask, DropsTheProbabilityAskedForAndDependsOnEveryKey) {
    constexpr std::uint32_t kElements = 200000;
    const auto dropped = [](std::uint64_t seed, std::int64_t step, std::uint32_t site, TokenKey key) {
        const Dropout dropout = make_dropout(seed, step, site, 0.1);
        std::vector<bool> mask(kElements);
        for (std::uint32_t i = 0; i < kElements; ++i) {
            mask[i] = dropout_random(dropout, key, i) < dropout.threshold;
        }
        return mask;
    };
    const auto reference = dropped(1, 2, 3, {4, 5});
    const auto count = std::count(reference.begin(), reference.end(), true);
    // Five standard deviations of a binomial.
    EXPECT_NEAR(static_cast<double>(count), 0.1 * kElements, 5 * std::sqrt(0.1 * 0.9 * kElements));
    for (const auto& other : {dropped(2, 2, 3, {4, 5}), dropped(1, 3, 3, {4, 5}), dropped(1, 2, 4, {4, 5}),
                              dropped(1, 2, 3, {5, 5}), dropped(1, 2, 3, {4, 6})}) {
        std::int64_t both = 0;
        for (std::uint32_t i = 0; i < kElements; ++i) {
            both += reference[i] && other[i] ? 1 : 0;
        }
        EXPECT_NEAR(static_cast<double>(both), 0.01 * kElements, 5 * std::sqrt(0.01 * 0.99 * kElements));
    }
}

// Element i of the stream by Box and Muller's formula.
double normal_element(std::uint64_t key, std::int64_t i) {
    const auto pair = static_cast<std::uint64_t>(i) / 2;
    const auto random =
        philox({static_cast<std::uint32_t>(pair), static_cast<std::uint32_t>(pair >> 32), 0, 0},
               {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)});
    const double radius = std::sqrt(-2 * std::log((random[0] + 0.5) / 4294967296.0));
    const double angle = 2 * std::numbers::pi * (random[1] / 4294967296.0);
    return radius * (i % 2 != 0 ? std::sin(angle) : std::cos(angle));
}

TEST(NormalDeviates, AreTheFormulasAndTheSameBitsWithEveryInstructionSet) {
    constexpr std::uint64_t kKey = 0x123456789abcdefULL;
    for (const auto& [first, count] : {std::pair(0L, 100000L), std::pair(5L, 1L), std::pair(17L, 40L),
                                       std::pair(1L << 34, 33L), std::pair(0L, 0L)}) {
        std::vector<float> expected(static_cast<std::size_t>(count));
        generic::kernels().normal(kKey, first, count, 0.5, expected.data());
        for (std::int64_t i = 0; i < count; ++i) {
            ASSERT_NEAR(expected[static_cast<std::size_t>(i)], 0.5 * normal_element(kKey, first + i), 2e-7)
                << first << " " << i;
        }
        std::vector<float> found(expected.size());
        for (const Kernels* const kernels : runnable_kernels()) {
            kernels->normal(kKey, first, count, 0.5, found.data());
            EXPECT_EQ(found, expected) << kernels->instruction_set;
        }
    }
}

TEST(EpochOrder, IsAPermutationKeyedBySeedAndEpoch) {
    const auto order = epoch_order(1000, 3, 1);
    EXPECT_EQ(std::set(order.begin(), order.end()).size(), 1000U);
    EXPECT_EQ(order, epoch_order(1000, 3, 1));
    EXPECT_NE(order, epoch_order(1000, 3, 2));
    EXPECT_NE(order, epoch_order(1000, 4, 1));
}

TEST(ShareOf, CoversEverythingOnce) {
    for (const std::int64_t count : {0L, 1L, 2L, 16L, 17L}) {
        std::int64_t next = 0;
        for (int rank = 0; rank < 4; ++rank) {
            const RowRange share = share_of(count, rank, 4);
            EXPECT_EQ(share.begin, next);
            EXPECT_LE(share.end - share.begin, (count + 3) / 4);
            next = share.end;
        }
        EXPECT_EQ(next, count);
    }
}

}  // namespace
}  // namespace orchestrate
