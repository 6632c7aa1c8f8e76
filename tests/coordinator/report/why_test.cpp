#include "coordinator/report/why.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orchestrate {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

WhyFacts waiting_facts() {
    WhyFacts facts;
    facts.job.row.job = JobId(7);
    facts.job.row.state = "waiting";
    facts.job.row.stage = "ablation";
    facts.coordinator_lives = true;
    facts.study = "grid";
    facts.study_state = "running";
    facts.scheduler = "all workers of 1 rank are busy; 3 jobs are ahead of it";
    return facts;
}

AttemptDetails attempt_that_ended(const std::string& cause, const std::string& message) {
    AttemptDetails attempt;
    attempt.number = 3;
    attempt.worker = "local-2";
    attempt.cause = cause;
    attempt.message = message;
    return attempt;
}

TEST(WhyTest, AJobThatWaitsIsExplainedByWhatHoldsItFirst) {
    WhyFacts facts = waiting_facts();
    EXPECT_THAT(why(facts), HasSubstr("3 jobs are ahead"));
    facts.dispatch_paused = "the disk is full";
    EXPECT_THAT(why(facts), HasSubstr("the disk is full"));
    facts.stage_has_begun = false;
    facts.current_stage = "search";
    EXPECT_EQ(why(facts), "its stage ablation begins when stage search has ended");
    facts.study_state = "interrupted";
    EXPECT_THAT(why(facts), HasSubstr("orchestrate resume grid"));
    facts.study_paused = true;
    EXPECT_THAT(why(facts), StartsWith("its study is paused"));
    facts.study.clear();
    EXPECT_EQ(why(facts), "no study names it any more");
}

TEST(WhyTest, WithoutACoordinatorNothingRuns) {
    WhyFacts facts = waiting_facts();
    facts.coordinator_lives = false;
    EXPECT_THAT(why(facts), HasSubstr("no coordinator has the database"));
    facts.job.row.state = "running";
    EXPECT_THAT(why(facts), HasSubstr("orchestrate resume grid"));
}

TEST(WhyTest, AJobThatRunsIsSaidToRun) {
    WhyFacts facts = waiting_facts();
    facts.job.row.state = "running";
    facts.job.attempts = {attempt_that_ended("", "")};
    facts.progress = TrainingProgress{};
    facts.progress->epoch = 2;
    facts.progress->epochs = 8;
    EXPECT_EQ(why(facts), "it runs: attempt 3 on local-2, epoch 2 of 8");
    facts.worker_is_away = true;
    EXPECT_THAT(why(facts), HasSubstr("does not answer"));
}

TEST(WhyTest, AJobThatHasEndedSaysHowAndWhatTriesItAgain) {
    WhyFacts facts = waiting_facts();
    facts.job.row.state = "failed";
    facts.job.failures = 2;
    facts.job.attempts = {attempt_that_ended("diverged", "the loss is not finite at step 12")};
    EXPECT_EQ(
        why(facts),
        "it has failed 2 times, at last by diverged: the loss is not finite at step 12; orchestrate retry 7 "
        "tries it again");
    facts.job.row.state = "quarantined";
    facts.job.failures = 3;
    EXPECT_THAT(why(facts), StartsWith("it is quarantined: it took down 3 workers"));
    facts.job.row.state = "cancelled";
    EXPECT_THAT(why(facts), HasSubstr("no study named it"));
    facts.cancelled_by_user = true;
    EXPECT_THAT(why(facts), HasSubstr("by a user"));
    facts.job.row.state = "succeeded";
    facts.job.row.worker = "local-2";
    EXPECT_EQ(why(facts), "it is done: attempt 3 succeeded on local-2");
}

}  // namespace
}  // namespace orchestrate
