#include "coordinator/progress_display.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orchestrate {
namespace {

using testing::HasSubstr;
using testing::Not;

StatusReply busy_status() {
    StatusReply status;
    status.study = "punk-or-funk-small";
    status.stage = "ablation";
    status.jobs = 14;
    status.succeeded = 5;
    status.failed = 1;
    status.elapsed_seconds = 133;
    status.remaining_seconds = 200;
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

TEST(ProgressTest, FitsTheTerminal) {
    for (const std::size_t columns : {40U, 60U, 80U}) {
        for (const auto& line : render_progress(busy_status(), columns)) {
            EXPECT_LE(line.size(), columns) << line;
        }
    }
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
