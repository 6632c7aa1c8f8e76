#include "coordinator/server/loop_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orchestrate {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

class LoopWatchTest : public testing::Test {
  protected:
    std::chrono::steady_clock::time_point now_;
    std::vector<std::pair<std::string, std::chrono::milliseconds>> reports_;
    LoopWatch watch_{[this] { return now_; },
                     [this](const std::string& handler, std::chrono::milliseconds held) {
                         reports_.emplace_back(handler, held);
                     },
                     100ms};
};

TEST_F(LoopWatchTest, NamesWhatHoldsTheLoopForLongerThanItsLimit) {
    {
        const auto hold = watch_.hold("the table of study", "genres");
        now_ += 340ms;
    }
    EXPECT_THAT(reports_, ElementsAre(Pair("the table of study genres", 340ms)));
    EXPECT_EQ(watch_.longest(), 340ms);
    EXPECT_EQ(watch_.longest_handler(), "the table of study genres");
}

TEST_F(LoopWatchTest, SaysNothingOfShortHandlersHoweverMany) {
    for (int i = 0; i < 1000; ++i) {
        const auto hold = watch_.hold("a message of worker", "here-1");
        now_ += 100ms;
    }
    EXPECT_THAT(reports_, IsEmpty());
    EXPECT_EQ(watch_.longest(), 100ms);
}

TEST_F(LoopWatchTest, BlamesTheInnermostHandler) {
    {
        const auto tick = watch_.hold("tick");
        now_ += 20ms;
        {
            const auto inner = watch_.hold("Slurm's commands");
            now_ += 500ms;
        }
        now_ += 30ms;
    }
    EXPECT_THAT(reports_, ElementsAre(Pair("Slurm's commands", 500ms)));
}

TEST_F(LoopWatchTest, BlamesTheOuterHandlerForItsOwnTime) {
    {
        const auto tick = watch_.hold("tick");
        {
            const auto inner = watch_.hold("a commit");
            now_ += 90ms;
        }
        now_ += 150ms;
    }
    EXPECT_THAT(reports_, ElementsAre(Pair("tick", 150ms)));
}

}  // namespace
}  // namespace orchestrate
