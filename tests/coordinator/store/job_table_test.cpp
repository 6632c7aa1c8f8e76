// The one owner of a job's state, and identifiers that cannot be mistaken for each other.
#include "coordinator/store/job_table.h"

#include <concepts>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/dispatch/dispatcher.h"
#include "coordinator/store/job_store.h"

namespace orchestrate {
namespace {

using testing::ElementsAre;
using testing::FieldsAre;

// An identifier of one kind, or a number, is not taken for one of another kind.
static_assert(!std::is_convertible_v<JobId, StudyId>);
static_assert(!std::is_constructible_v<JobId, StudyId>);
static_assert(!std::is_convertible_v<std::int64_t, JobId>);
static_assert(!std::is_convertible_v<JobId, std::int64_t>);
static_assert(!std::equality_comparable_with<JobId, StudyId>);
static_assert(std::is_invocable_v<decltype(&Dispatcher::give_to_study), Dispatcher&, JobId, StudyId>);
static_assert(!std::is_invocable_v<decltype(&Dispatcher::give_to_study), Dispatcher&, StudyId, JobId>);
static_assert(!std::is_invocable_v<decltype(&JobStore::set_study_state), JobStore&, JobId, StudyState>);
static_assert(!std::is_invocable_v<decltype(&Dispatcher::cancel), Dispatcher&, StudyId>);

struct Recorder final : JobObserver {
    struct Change {
        JobId job;
        JobState before;
        JobState now;
    };
    void job_changed(JobId job, JobState before, JobState now) override {
        changes.push_back({job, before, now});
    }
    std::vector<Change> changes;
};

Job job_in(JobState state, int failures = 0) {
    Job job;
    job.state = state;
    job.failures = failures;
    job.title = "without energy, seed 2";
    return job;
}

class JobTableTest : public testing::Test {
  protected:
    JobTableTest() { table_.observe(recorder_); }

    const JobId id_{7};
    Recorder recorder_;
    JobTable table_;
};

TEST_F(JobTableTest, AnEventChangesTheStateAndIsToldOnce) {
    table_.put(id_, job_in(JobState::waiting));
    EXPECT_TRUE(table_.apply(id_, JobEvent::begun));
    EXPECT_EQ(table_.at(id_).state, JobState::running);
    EXPECT_THAT(recorder_.changes, ElementsAre(FieldsAre(id_, JobState::waiting, JobState::running)));
}

TEST_F(JobTableTest, AnEventThatTheStateDoesNotListChangesNothing) {
    table_.put(id_, job_in(JobState::succeeded, 1));
    EXPECT_FALSE(table_.apply(id_, JobEvent::begun));
    EXPECT_EQ(table_.at(id_).state, JobState::succeeded);
    EXPECT_EQ(table_.at(id_).failures, 1);
    EXPECT_TRUE(recorder_.changes.empty());
}

TEST_F(JobTableTest, FailuresAreCountedOnceAndForgottenWhenTheJobIsAskedForAgain) {
    table_.put(id_, job_in(JobState::running));
    table_.apply(id_, JobEvent::worker_crashed);
    EXPECT_EQ(table_.at(id_).failures, 1);
    table_.apply(id_, JobEvent::begun);
    table_.apply(id_, JobEvent::user_error);
    EXPECT_EQ(table_.at(id_).failures, 2);
    table_.apply(id_, JobEvent::asked_for);
    EXPECT_EQ(table_.at(id_).failures, 0);
    EXPECT_EQ(table_.at(id_).state, JobState::waiting);
}

TEST_F(JobTableTest, WhatTheDatabaseSaysReplacesAllButThePlan) {
    table_.put(id_, job_in(JobState::failed, 2));
    table_.set_plan(id_, {StudyId(3), 5});
    Job as_stored = job_in(JobState::waiting);
    as_stored.title.clear();
    table_.put(id_, as_stored);
    const Job& job = table_.at(id_);
    EXPECT_EQ(job.failures, 0);
    EXPECT_EQ(job.title, "without energy, seed 2") << "a job that comes again has no title of its own";
    EXPECT_EQ(job.plan.value().study, StudyId(3));
    EXPECT_THAT(recorder_.changes, ElementsAre(FieldsAre(id_, JobState::failed, JobState::waiting)));
}

TEST_F(JobTableTest, AnUnknownJobIsNotMade) {
    EXPECT_EQ(table_.find(id_), nullptr);
    EXPECT_THROW(table_.apply(id_, JobEvent::begun), std::out_of_range);
    EXPECT_EQ(table_.size(), 0U);
}

TEST_F(JobTableTest, WhoStopsObservingIsNotToldAnyMore) {
    table_.put(id_, job_in(JobState::waiting));
    table_.stop_observing(recorder_);
    table_.apply(id_, JobEvent::cancelled);
    EXPECT_TRUE(recorder_.changes.empty());
}

}  // namespace
}  // namespace orchestrate
