#include "coordinator/report/progress_display.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "results/display_width.h"

namespace orchestrate {
namespace {

using testing::HasSubstr;
using testing::Not;

StatusReply busy_status() {
    StudyStatus study;
    study.study = "punk-or-funk-small";
    study.state = "running";
    study.stage = "ablation";
    study.jobs = 14;
    study.succeeded = 5;
    study.failed = 1;
    study.elapsed_seconds = 133;
    study.remaining_seconds = 200;
    StatusReply status;
    status.studies = {study};
    WorkerStatus worker;
    worker.name = "local-1";
    worker.state = "busy";
    worker.job_title = "without instrumentalness and something very long, seed 2";
    worker.progress = {3, 8, 750, 2000, 1.2341, 51234, "training"};
    status.workers = {worker, worker};
    status.workers[1].state = "idle";
    return status;
}

TEST(ProgressTest, SaysJobsWorkersAndTime) {
    const auto lines = render_progress(busy_status(), 80);
    ASSERT_EQ(lines.size(), 4U);
    EXPECT_THAT(lines[0], HasSubstr("punk-or-funk-small / ablation"));
    EXPECT_THAT(lines[1], HasSubstr("5/14 jobs, 1 failed, 2 min 13 s gone, about 3 min 20 s left"));
    EXPECT_THAT(lines[2], HasSubstr("epoch 3/8"));
    EXPECT_THAT(lines[2], HasSubstr("loss 1.234"));
    EXPECT_THAT(lines[2], HasSubstr("51.2k tok/s"));
    EXPECT_THAT(lines[3], HasSubstr("idle"));
}

TEST(ProgressTest, ShowsEveryStudyThatRunsAndNoneThatHasEnded) {
    auto status = busy_status();
    status.studies.push_back(status.studies[0]);
    status.studies[1].study = "second";
    status.studies[1].state = "paused";
    status.studies.push_back(status.studies[0]);
    status.studies[2].study = "third";
    status.studies[2].state = "finished";
    const auto lines = render_progress(status, 80);
    ASSERT_EQ(lines.size(), 6U);
    EXPECT_THAT(lines[2], HasSubstr("second / ablation  (paused)"));
    for (const auto& line : lines) {
        EXPECT_THAT(line, Not(HasSubstr("third")));
    }
}

TEST(ProgressTest, FitsTheTerminal) {
    auto status = busy_status();
    status.workers.resize(20, status.workers[0]);
    status.workers[1].job_title =
        "ohne M\u00e4rchen, \u97f3\u697d\u97f3\u697d\u97f3\u697d\u97f3\u697d, seed 1";
    for (std::size_t columns = 0; columns <= 80; ++columns) {
        for (const auto& line : render_progress(status, columns)) {
            EXPECT_LE(display_width(line), columns) << line;
        }
    }
}

TEST(ProgressTest, AlignsTitlesOfEveryLanguage) {
    auto status = busy_status();
    status.workers[0].job_title = "M\u00e4rchen \u97f3\u697d";
    status.workers[1].job_title = "plain ascii";
    status.workers[1].state = "busy";
    status.workers[1].progress = status.workers[0].progress;
    const auto lines = render_progress(status, 100);
    EXPECT_EQ(display_width(lines[2].substr(0, lines[2].find("epoch"))),
              display_width(lines[3].substr(0, lines[3].find("epoch"))));
}

TEST(ProgressTest, NothingFromElsewhereControlsTheTerminal) {
    auto status = busy_status();
    status.workers[0].job_title = "x\x1b[2J\ny";
    status.workers[1].name = "\x1b]0;w";
    for (const auto& line : render_progress(status, 80)) {
        EXPECT_EQ(line.find_first_of("\x1b\n"), std::string::npos) << line;
    }
    std::FILE* file = std::tmpfile();
    ProgressDisplay(file).note("worker\x1b[2J said\nmore");
    std::rewind(file);
    std::string text(1000, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), file));
    std::fclose(file);
    EXPECT_EQ(text, "worker said\nmore\n");
}

TEST(ProgressTest, WritesPlainLinesToAPipe) {
    std::FILE* file = std::tmpfile();
    {
        ProgressDisplay display(file);
        display.update(busy_status());
        display.note("job 1: done");
        display.update(busy_status());
    }
    std::rewind(file);
    std::string text(1000, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), file));
    std::fclose(file);
    EXPECT_THAT(text, HasSubstr("job 1: done\n"));
    EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace orchestrate
