#include "tests/coordinator/dispatch/wild_peers.h"

#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace orchestrate::test {
namespace {

constexpr int kLives = 100;
constexpr std::size_t kChoices = 2000;

TEST(WildPeersTest, WhateverTheySendIsTheirOwnProblem) {
    for (int seed = 1; seed <= kLives; ++seed) {
        std::mt19937 random(static_cast<unsigned>(seed));
        std::vector<std::uint8_t> choices(kChoices);
        for (auto& choice : choices) {
            choice = static_cast<std::uint8_t>(random());
        }
        ASSERT_EQ(live_with_wild_peers(choices), "") << "seed " << seed;
    }
}

}  // namespace
}  // namespace orchestrate::test
