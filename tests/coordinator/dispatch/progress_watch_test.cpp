#include "coordinator/dispatch/progress_watch.h"

#include <gmock/gmock.h>

namespace orchestrate {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

class ProgressWatchTest : public testing::Test {
  protected:
    ProgressWatchTest() { watch_.set_limit(600s); }
    static ProgressWatch::Time at(std::chrono::seconds time) { return ProgressWatch::Time(1000h + time); }
    ProgressWatch watch_;
};

TEST_F(ProgressWatchTest, FindsAnAttemptWhoseCountStandsStill) {
    watch_.begin("w1", at(0s));
    watch_.begin("w2", at(0s));
    for (int beat = 1; beat <= 200; ++beat) {  // both breathe, one gets on
        watch_.counted("w1", 5, at(4s * beat));
        watch_.counted("w2", beat, at(4s * beat));
        EXPECT_EQ(watch_.overdue().size(), 4 * beat > 604 ? 1U : 0U) << beat;
    }
    EXPECT_THAT(watch_.overdue(), ElementsAre("w1"));
}

TEST_F(ProgressWatchTest, NoStepAtAllIsNoProgressEither) {
    watch_.begin("w1", at(0s));
    watch_.counted("w1", 0, at(300s));
    EXPECT_THAT(watch_.overdue(), IsEmpty());
    watch_.counted("w1", 0, at(600s));
    EXPECT_THAT(watch_.overdue(), IsEmpty());
    watch_.counted("w1", 0, at(601s));
    EXPECT_THAT(watch_.overdue(), ElementsAre("w1"));
}

TEST_F(ProgressWatchTest, ReportsCountAsProgressAndACounterMayBeginAgain) {
    watch_.begin("w1", at(0s));
    watch_.counted("w1", 70, at(100s));
    watch_.advanced("w1", at(500s));
    EXPECT_THAT(watch_.overdue(), IsEmpty());
    watch_.counted("w1", 3, at(1100s));  // another process under the same name
    watch_.counted("w1", 3, at(1700s));
    EXPECT_THAT(watch_.overdue(), IsEmpty());
    watch_.counted("w1", 3, at(1701s));
    EXPECT_THAT(watch_.overdue(), ElementsAre("w1"));
}

TEST_F(ProgressWatchTest, AnAttemptThatEndedOrBeganAgainIsNotOverdue) {
    watch_.begin("w1", at(0s));
    watch_.begin("w2", at(0s));
    watch_.end("w1");
    watch_.begin("w2", at(650s));
    watch_.counted("w1", 1, at(650s));  // idle: counts nothing
    watch_.counted("w2", 0, at(1200s));
    EXPECT_THAT(watch_.overdue(), IsEmpty());
}

TEST_F(ProgressWatchTest, WithoutALimitNothingIsOverdue) {
    watch_.set_limit(0s);
    watch_.begin("w1", at(0s));
    watch_.counted("w1", 0, at(std::chrono::hours(100)));
    EXPECT_THAT(watch_.overdue(), IsEmpty());
}

TEST_F(ProgressWatchTest, ALimitBelowTheHeartbeatIntervalEndsNothingThatMakesProgress) {
    watch_.set_limit(3s);
    watch_.begin("busy", at(0s));
    watch_.begin("hangs", at(0s));
    for (int beat = 1; beat <= 20; ++beat) {
        watch_.counted("busy", 20 * beat, at(4s * beat));
        watch_.counted("hangs", 7, at(4s * beat));
        if (beat == 1) {
            EXPECT_THAT(watch_.overdue(), IsEmpty());
        } else {
            EXPECT_THAT(watch_.overdue(), ElementsAre("hangs"));
        }
    }
}

}  // namespace
}  // namespace orchestrate
