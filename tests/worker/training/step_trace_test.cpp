#include "worker/training/support/step_trace.h"

#include <fstream>

#include <gmock/gmock.h>

#include "common/base/error.h"
#include "common/base/json.h"
#include "common/base/temporary_folder.h"

namespace orchestrate {
namespace {

StepTrace::Time at(int milliseconds) {
    return StepTrace::Time(std::chrono::hours(1) + std::chrono::milliseconds(milliseconds));
}

TEST(StepTraceTest, CountsTimeOfSumsOnceAndWhatOfItLiesBesideTheBackwardPass) {
    StepTrace trace(0);
    trace.begin_step(7);
    trace.add_span(StepTrace::kBackward, at(10), at(30));
    trace.add_sum(1000, at(12), at(20));
    trace.add_sum(2000, at(16), at(34));
    trace.add_sum(3000, at(31), at(40));
    trace.begin_step(8);
    trace.add_span(StepTrace::kBackward, at(50), at(60));
    trace.add_sum(1000, at(55), at(65));
    const SumOverlap overlap = trace.overlap();
    EXPECT_DOUBLE_EQ(overlap.seconds, 0.028 + 0.010);
    EXPECT_DOUBLE_EQ(overlap.hidden_seconds, 0.018 + 0.005);
    EXPECT_EQ(overlap.steps, 2);
    EXPECT_EQ(overlap.steps_with_early_sum, 1);
}

TEST(StepTraceTest, KeepsOnlyTheFirstSteps) {
    StepTrace trace(0, 2);
    for (int step = 0; step < 5; ++step) {
        trace.begin_step(step);
        trace.add_span(StepTrace::kBackward, at(step), at(step + 1));
    }
    EXPECT_EQ(trace.overlap().steps, 2);
}

TEST(StepTraceTest, WritesWhatTraceViewersRead) {
    const TemporaryFolder parent;
    const std::filesystem::path& folder = parent.path();
    const auto file = trace_file_of(folder / "trace.json", 1);
    EXPECT_EQ(file, folder / "trace-rank-1.json");
    StepTrace trace(1);
    trace.begin_step(7);
    trace.add_span("forward", at(0), at(10));
    trace.add_sum(1000, at(12), at(20));
    trace.write(file);
    const Json events = Json::parse(std::ifstream(file)).at("traceEvents");
    ASSERT_EQ(events.size(), 4U);
    EXPECT_EQ(events[0].at("args").at("name"), "rank 1");
    EXPECT_EQ(events[1].at("ph"), "X");
    EXPECT_EQ(events[1].at("name"), "forward");
    EXPECT_NEAR(events[1].at("dur").get<double>(), 10'000, 1e-6);
    EXPECT_EQ(events[1].at("args").at("step"), 7);
    EXPECT_EQ(events[2].at("ph"), "b");
    EXPECT_EQ(events[3].at("ph"), "e");
    EXPECT_EQ(events[2].at("id"), events[3].at("id"));
    EXPECT_EQ(events[2].at("args").at("bytes"), 1000);
    EXPECT_NEAR(events[3].at("ts").get<double>() - events[2].at("ts").get<double>(), 8000, 1);
    for (const auto& event : events) {
        EXPECT_EQ(event.at("pid"), 1);
    }
}

TEST(StepTraceTest, SaysWhereItCannotWrite) {
    const StepTrace trace(0);
    EXPECT_THROW(trace.write("/nonexistent/trace.json"), UserError);
}

}  // namespace
}  // namespace orchestrate
