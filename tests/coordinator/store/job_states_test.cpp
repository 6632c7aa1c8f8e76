// Every state with every event: what the table says, and that the job store does just that.
#include "coordinator/store/job_states.h"

#include <algorithm>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orchestrate {
namespace {

template <class E>
std::vector<E> all_of() {
    std::vector<E> values;
    for (const auto& name : enum_names<E>()) {
        values.push_back(*enum_from_name<E>(name));
    }
    return values;
}

// What is expected, written a second time in another form: per state the events that lead elsewhere or are taken.
const std::map<JobState, std::map<JobEvent, JobState>>& expected() {
    using enum JobState;
    static const std::map<JobState, std::map<JobEvent, JobState>> table = {
        {waiting,
         {{JobEvent::asked_for, waiting}, {JobEvent::begun, running}, {JobEvent::cancelled, cancelled}}},
        {running,
         {{JobEvent::asked_for, running},
          {JobEvent::succeeded, succeeded},
          {JobEvent::preempted, waiting},
          {JobEvent::walltime, waiting},
          {JobEvent::node_lost, waiting},
          {JobEvent::worker_crashed, waiting},
          {JobEvent::crashed_too_often, quarantined},
          {JobEvent::tried_again, waiting},
          {JobEvent::out_of_memory, failed},
          {JobEvent::diverged, failed},
          {JobEvent::user_error, failed},
          {JobEvent::cancelled, cancelled},
          {JobEvent::paused, paused}}},
        {paused,
         {{JobEvent::asked_for, paused}, {JobEvent::promoted, waiting}, {JobEvent::cancelled, cancelled}}},
        {succeeded, {{JobEvent::asked_for, succeeded}, {JobEvent::result_refused, failed}}},
        {failed, {{JobEvent::asked_for, waiting}}},
        {cancelled, {{JobEvent::asked_for, waiting}}},
        {quarantined, {{JobEvent::asked_for, waiting}}},
    };
    return table;
}

TEST(JobStatesTest, EveryStateWithEveryEvent) {
    for (const JobState state : all_of<JobState>()) {
        for (const JobEvent event : all_of<JobEvent>()) {
            const auto found = find_transition(state, event);
            const auto& row = expected().at(state);
            const auto wanted = row.find(event);
            ASSERT_EQ(found.has_value(), wanted != row.end())
                << to_string(state) << " + " << to_string(event);
            if (found) {
                EXPECT_EQ(found->to, wanted->second) << to_string(state) << " + " << to_string(event);
            }
        }
    }
}

TEST(JobStatesTest, NoRowStandsTwice) {
    std::set<std::pair<JobState, JobEvent>> seen;
    for (const auto& row : job_transitions()) {
        EXPECT_TRUE(seen.insert({row.from, row.event}).second)
            << to_string(row.from) << " + " << to_string(row.event);
    }
}

TEST(JobStatesTest, OnlyWhatMayHappenAgainCounts) {
    for (const auto& row : job_transitions()) {
        const std::set<JobEvent> faults = {JobEvent::worker_crashed, JobEvent::crashed_too_often,
                                           JobEvent::tried_again,    JobEvent::out_of_memory,
                                           JobEvent::diverged,       JobEvent::user_error,
                                           JobEvent::result_refused};
        EXPECT_EQ(row.counts_as_failure, faults.contains(row.event)) << to_string(row.event);
        EXPECT_EQ(row.clears_failures, row.event == JobEvent::asked_for && row.to == JobState::waiting &&
                                           row.from != JobState::waiting);
    }
}

TEST(JobStatesTest, ASucceededJobStaysSoUnlessTheDatabaseRefusesItsResult) {
    for (const JobEvent event : all_of<JobEvent>()) {
        const auto found = find_transition(JobState::succeeded, event);
        EXPECT_TRUE(!found || found->to == JobState::succeeded || event == JobEvent::result_refused)
            << to_string(event);
    }
}

TEST(JobStatesTest, EveryCauseIsAnEventOfItsName) {
    for (const Cause cause : all_of<Cause>()) {
        EXPECT_EQ(to_string(event_of(cause, 0, {})), to_string(cause));
    }
    EXPECT_EQ(event_of(Cause::worker_crashed, 1, {}), JobEvent::worker_crashed);
    EXPECT_EQ(event_of(Cause::worker_crashed, 2, {}), JobEvent::crashed_too_often);
    EXPECT_EQ(event_of(Cause::preempted, 100, {}), JobEvent::preempted);
}

TEST(JobStatesTest, EachCauseHasItsLimit) {
    RetryLimits limits;
    limits.worker_crashed = 1;
    limits.out_of_memory = 2;
    limits.diverged = 3;
    limits.user_error = 4;
    const std::map<Cause, std::pair<int, JobEvent>> wanted = {
        {Cause::worker_crashed, {1, JobEvent::crashed_too_often}},
        {Cause::out_of_memory, {2, JobEvent::out_of_memory}},
        {Cause::diverged, {3, JobEvent::diverged}},
        {Cause::user_error, {4, JobEvent::user_error}}};
    for (const auto& [cause, end] : wanted) {
        for (int failures = 0; failures < 5; ++failures) {
            const JobEvent event = event_of(cause, failures, limits);
            EXPECT_EQ(event == end.second, failures + 1 >= end.first) << to_string(cause) << failures;
            EXPECT_EQ(is_over(find_transition(JobState::running, event)->to), failures + 1 >= end.first);
        }
    }
}

}  // namespace
}  // namespace orchestrate
