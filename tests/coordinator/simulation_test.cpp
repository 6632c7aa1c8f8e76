// 10,000 lives of the simulation (ORCHESTRATE_SIMULATION_SEEDS), or as many as fit into the time
// (ORCHESTRATE_SIMULATION_SECONDS, 110); and that it finds mistakes.
// One seed alone, with what happens: ORCHESTRATE_SIMULATION_SEED=7.
#include "tests/coordinator/simulation.h"

#include <chrono>
#include <cstdlib>
#include <iostream>

#include <gtest/gtest.h>

namespace orchestrate::test {
namespace {

std::int64_t number_from_environment(const char* name, std::int64_t otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::atoll(text);
}

void print_story(const Simulation& simulation) {
    for (const auto& line : simulation.story()) {
        std::cout << line << "\n";
    }
}

TEST(SimulationTest, NothingIsLostAndNothingIsDoneTwice) {
    if (const auto seed = number_from_environment("ORCHESTRATE_SIMULATION_SEED", 0); seed > 0) {
        Simulation simulation(static_cast<std::uint64_t>(seed));
        EXPECT_EQ(simulation.run(), "");
        print_story(simulation);
        return;
    }
    const auto end = std::chrono::steady_clock::now() +
                     std::chrono::seconds(number_from_environment("ORCHESTRATE_SIMULATION_SECONDS", 110));
    std::int64_t events = 0;
    std::int64_t handed_back = 0;
    std::int64_t drained = 0;
    std::size_t most_held = 0;
    std::uint64_t seed = 0;
    const auto most_seeds =
        static_cast<std::uint64_t>(number_from_environment("ORCHESTRATE_SIMULATION_SEEDS", 10'000));
    while (seed < most_seeds && std::chrono::steady_clock::now() < end) {
        Simulation simulation(++seed);
        const std::string wrong = simulation.run();
        events += simulation.events();
        handed_back += simulation.handed_back();
        drained += simulation.drained();
        most_held = std::max(most_held, simulation.most_held());
        if (!wrong.empty()) {
            print_story(simulation);
        }
        ASSERT_EQ(wrong, "") << "ORCHESTRATE_SIMULATION_SEED=" << seed << " repeats it";
    }
    std::cout << seed << " seeds, " << events << " events, " << handed_back << " jobs handed back, at most "
              << most_held << " held by a worker, " << drained << " workers drained\n";
    EXPECT_GT(seed, 20U);
    EXPECT_GT(handed_back, 0);
    EXPECT_GT(drained, 0);
    EXPECT_GT(most_held, 2U);
}

TEST(SimulationTest, OneSeedIsOneStory) {
    Simulation first(42);
    Simulation second(42);
    EXPECT_EQ(first.run(), second.run());
    EXPECT_EQ(first.story(), second.story());
    EXPECT_EQ(first.events(), second.events());
    EXPECT_GT(first.story().size(), 10U);
}

class DeliberateBugTest : public testing::TestWithParam<DeliberateBug> {};

TEST_P(DeliberateBugTest, IsFound) {
    for (std::uint64_t seed = 1; seed <= 500; ++seed) {
        Simulation simulation(seed, GetParam());
        if (const std::string wrong = simulation.run(); !wrong.empty()) {
            std::cout << "seed " << seed << ": " << wrong << "\n";
            return;
        }
    }
    FAIL() << "500 seeds do not show it";
}

INSTANTIATE_TEST_SUITE_P(Bugs, DeliberateBugTest,
                         testing::Values(DeliberateBug::answers_before_the_commit,
                                         DeliberateBug::takes_results_of_old_attempts,
                                         DeliberateBug::never_misses_silent_workers,
                                         DeliberateBug::forgets_what_a_lost_worker_had_not_begun));

}  // namespace
}  // namespace orchestrate::test
