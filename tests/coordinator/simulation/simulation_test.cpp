// 10,000 lives of the simulation (ORCHESTRATE_SIMULATION_SEEDS), or as many as fit into the time
// (ORCHESTRATE_SIMULATION_SECONDS, 110), on all cores; and that it finds errors.
// One seed alone, with what happens: ORCHESTRATE_SIMULATION_SEED=7.
#include "tests/coordinator/simulation/simulation.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sqlite3.h>

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

// Its statistics would have all threads wait for one lock at every allocation.
const int kSqliteWithoutStatistics = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);

// What simulations went through.
struct Lived {
    std::int64_t seeds = 0;
    std::int64_t events = 0;
    std::int64_t handed_back = 0;
    std::int64_t drained = 0;
    std::size_t max_held = 0;
    std::int64_t recovered = 0;
    std::int64_t lost_pilots = 0;

    void add(const Simulation& simulation) {
        add(Lived{1, simulation.events(), simulation.handed_back(), simulation.drained(),
                  simulation.max_held(), simulation.recovered(), simulation.lost_pilots()});
    }
    void add(const Lived& other) {
        seeds += other.seeds;
        events += other.events;
        handed_back += other.handed_back;
        drained += other.drained;
        recovered += other.recovered;
        lost_pilots += other.lost_pilots;
        max_held = std::max(max_held, other.max_held);
    }
};

TEST(SimulationTest, NothingIsLostAndNothingIsDoneTwice) {
    if (const auto seed = number_from_environment("ORCHESTRATE_SIMULATION_SEED", 0); seed > 0) {
        Simulation simulation(static_cast<std::uint64_t>(seed));
        EXPECT_EQ(simulation.run(), "");
        print_story(simulation);
        return;
    }
    const auto end = std::chrono::steady_clock::now() +
                     std::chrono::seconds(number_from_environment("ORCHESTRATE_SIMULATION_SECONDS", 110));
    const auto max_seeds =
        static_cast<std::uint64_t>(number_from_environment("ORCHESTRATE_SIMULATION_SEEDS", 10'000));
    std::atomic<std::uint64_t> next_seed = 1;
    std::atomic<bool> failed = false;
    std::mutex mutex;
    Lived all;
    ASSERT_EQ(kSqliteWithoutStatistics, SQLITE_OK);
    const auto live = [&] {
        Lived lived;
        for (std::uint64_t seed = next_seed++;
             seed <= max_seeds && !failed && std::chrono::steady_clock::now() < end; seed = next_seed++) {
            Simulation simulation(seed);
            const std::string wrong = simulation.run();
            lived.add(simulation);
            if (!wrong.empty() && !failed.exchange(true)) {
                print_story(simulation);
                ADD_FAILURE() << wrong << "; ORCHESTRATE_SIMULATION_SEED=" << seed << " repeats it";
            }
        }
        const std::lock_guard lock(mutex);
        all.add(lived);
    };
    {
        std::vector<std::jthread> threads;
        for (unsigned i = 0; i < std::max(1U, std::thread::hardware_concurrency()); ++i) {
            threads.emplace_back(live);
        }
    }
    std::cout << all.seeds << " seeds, " << all.events << " events, " << all.handed_back
              << " jobs handed back, at most " << all.max_held << " held by a worker, " << all.drained
              << " workers drained, " << all.recovered << " results accepted from the disk, "
              << all.lost_pilots << " pilots lost\n";
    EXPECT_GT(all.seeds, 20);
    EXPECT_GT(all.handed_back, 0);
    EXPECT_GT(all.drained, 0);
    EXPECT_GT(all.recovered, 0);
    EXPECT_GT(all.lost_pilots, 0);
    EXPECT_GT(all.max_held, 2U);
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
    for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
        Simulation simulation(seed, GetParam());
        if (const std::string wrong = simulation.run(); !wrong.empty()) {
            std::cout << "seed " << seed << ": " << wrong << "\n";
            return;
        }
    }
    FAIL() << "2000 seeds do not show it";
}

INSTANTIATE_TEST_SUITE_P(Bugs, DeliberateBugTest,
                         testing::Values(DeliberateBug::answers_before_the_commit,
                                         DeliberateBug::takes_results_of_old_attempts,
                                         DeliberateBug::never_misses_silent_workers,
                                         DeliberateBug::forgets_what_a_lost_worker_had_not_begun,
                                         DeliberateBug::swallows_what_recovery_changes,
                                         DeliberateBug::keeps_starting_workers_of_lost_sites));

class WorkerMutantTest : public testing::TestWithParam<WorkerMutant> {};

TEST_P(WorkerMutantTest, IsFound) {
    for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
        Simulation simulation(seed, DeliberateBug::none, &GetParam());
        if (const std::string wrong = simulation.run(); !wrong.empty()) {
            std::cout << "seed " << seed << ": " << wrong << "\n";
            return;
        }
    }
    FAIL() << "2000 seeds do not show it";
}

INSTANTIATE_TEST_SUITE_P(Mutants, WorkerMutantTest, testing::ValuesIn(worker_mutants()),
                         [](const auto& mutant) { return mutant.param.name; });

}  // namespace
}  // namespace orchestrate::test
