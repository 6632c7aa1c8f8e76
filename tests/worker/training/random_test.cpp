// The random numbers behind initial weights, order and dropout; batches and their cut over ranks; safetensors
// files.
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "worker/training/batches.h"
#include "worker/training/kernels.h"
#include "worker/training/safetensors.h"

namespace orchestrate {
namespace {

using testing::HasSubstr;

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
        for (const Kernels* kernels : {&generic::kernels(), &best_kernels()}) {
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

class SafetensorsFile : public testing::Test {
  protected:
    void TearDown() override { std::filesystem::remove(path_); }

    std::string error_of(const std::string& header, const std::string& data, std::uint64_t announced = 0) {
        write(header, data, announced == 0 ? header.size() : announced);
        try {
            read_safetensors(path_);
        } catch (const UserError& error) {
            return error.what();
        }
        return "no error";
    }
    void write(const std::string& header, const std::string& data, std::uint64_t announced) {
        std::ofstream file(path_, std::ios::binary);
        file.write(reinterpret_cast<const char*>(&announced), sizeof announced);
        file << header << data;
    }

    std::filesystem::path path_ = testing::TempDir() + "orchestrate_test.safetensors";
};

TEST_F(SafetensorsFile, IsRead) {
    const std::vector<float> values = {1.5F, -2.0F};
    const std::string header =
        R"({"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"__metadata__":{"x":"y"}})";
    write(header, std::string(reinterpret_cast<const char*>(values.data()), 8), header.size());
    const auto tensors = read_safetensors(path_);
    ASSERT_EQ(tensors.size(), 1U);
    EXPECT_EQ(tensors.at("a").shape, (std::vector<std::int64_t>{2, 1}));
    EXPECT_EQ(tensors.at("a").floats(), values);
}

TEST_F(SafetensorsFile, LiesAreRefused) {
    EXPECT_THAT(error_of("{}", "", 1ULL << 60), HasSubstr("truncated"));
    EXPECT_THAT(error_of("[1", ""), HasSubstr("no JSON object"));
    EXPECT_THAT(error_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "1234"),
                HasSubstr("'a'"));
    EXPECT_THAT(error_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", "1234"),
                HasSubstr("'a'"));
    EXPECT_THAT(error_of(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", "1234"),
                HasSubstr("shape"));
    EXPECT_THAT(
        error_of(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}})", "1234"),
        HasSubstr("shape"));
    EXPECT_THAT(error_of(R"({"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}})", "1234"),
                HasSubstr("F33"));
    EXPECT_THAT(error_of(R"({"a":{"dtype":"F32","shape":[1]}})", "1234"), HasSubstr("data_offsets"));
    EXPECT_THAT(error_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}})", "1234"),
                HasSubstr("whole numbers"));
}

}  // namespace
}  // namespace orchestrate
