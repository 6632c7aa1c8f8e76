#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/cli/client.h"
#include "coordinator/cli/top_screen.h"
#include "results/display_width.h"

namespace orchestrate {
namespace {

using testing::HasSubstr;

StatusReply large_status() {
    StatusReply status;
    status.host = "node-with-a-long-name.example";
    status.waiting = 4000;
    for (int i = 0; i < 3; ++i) {
        StudyStatus study;
        study.study = "study-" + std::to_string(i);
        study.state = i == 2 ? "finished" : "running";
        study.stage = "ablation";
        study.jobs = 100;
        study.succeeded = 10;
        status.studies.push_back(study);
    }
    for (int i = 0; i < 40; ++i) {
        WorkerStatus worker;
        worker.name = "local-" + std::to_string(i);
        worker.state = "busy";
        worker.job_title = "without instrumentalness, seed 3, \xc3\xa4\xc3\xb6\xc3\xbc";
        status.workers.push_back(worker);
    }
    for (int i = 1; i <= 50; ++i) {
        status.events.push_back({i, "2026-11-25T03:04:05.000Z", "study-0",
                                 "job " + std::to_string(i) +
                                     ": a message that is longer than the screen is wide, "
                                     "with\ncontrol characters"});
    }
    return status;
}

TEST(TopTest, NeverLeavesTheScreen) {
    for (const std::size_t columns : {20U, 40U, 79U, 200U}) {
        for (const std::size_t lines : {4U, 10U, 24U, 60U, 200U}) {
            const auto screen = render_top(large_status(), columns, lines);
            EXPECT_LE(screen.size(), lines);
            for (const auto& line : screen) {
                EXPECT_LE(display_width(line), columns) << line;
            }
        }
    }
}

TEST(TopTest, SaysThatTheCoordinatorDoesNotAnswer) {
    for (const std::size_t lines : {6U, 24U}) {
        const auto screen = render_top(large_status(), 100, lines, silence_text(std::chrono::seconds(7)));
        EXPECT_THAT(screen.front(), HasSubstr("the coordinator does not answer (for 7 s)"));
        EXPECT_LE(screen.size(), lines);
    }
}

TEST(TopTest, ShowsStudiesWorkersAndTheNewestEvents) {
    const auto screen = render_top(large_status(), 100, 50);
    std::string text;
    for (const auto& line : screen) {
        text += line + "\n";
    }
    EXPECT_THAT(screen.front(), HasSubstr("2 studies running, 40 of 40 workers busy, 4000 jobs waiting"));
    EXPECT_THAT(text, HasSubstr("study-1 / ablation"));
    EXPECT_THAT(text, HasSubstr("study-2: finished"));
    EXPECT_THAT(text, HasSubstr("local-0"));
    EXPECT_THAT(text, HasSubstr("03:04:05 study-0: job 50:"));
    EXPECT_EQ(screen.back(), "q leaves");
}

TEST(TopTest, KeepsRoomForEventsBesideManyWorkers) {
    const auto screen = render_top(large_status(), 79, 12);
    EXPECT_THAT(screen.at(screen.size() - 2), HasSubstr("job 50:"));
}

}  // namespace
}  // namespace orchestrate
