// What the runner of a worker makes of attempts: which cause the host's trouble has, and what of a loud command is passed on.
#include "worker/agent/job_runner.h"

#include <condition_variable>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>

#include "common/base/temporary_folder.h"
#include "worker/single_rank.h"

namespace orchestrate {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Le;
using Clock = std::chrono::steady_clock;

class Runner : public ::testing::Test {
  protected:
    Runner() {
        lease_.attempt = {JobId(7), 1};
        lease_.config.command.emplace();
        lease_.paths.command_folder = folder_.path().string();
        lease_.log_file = (folder_.path() / "job.log").string();
        JobRunnerOptions options;
        options.log = open_log("worker", folder_.path() / "worker.log");
        runner_.emplace(options, std::make_unique<SingleRank>(), [this](const AttemptReport& message) {
            const std::lock_guard lock(mutex_);
            if (const auto* ended = std::get_if<AttemptEnded>(&message)) {
                ended_ = *ended;
                changed_.notify_all();
            } else {
                progress_ += std::holds_alternative<AttemptProgress>(message) ? 1 : 0;
            }
        });
    }

    AttemptEnded run(const std::string& script) {
        std::ofstream(folder_.path() / "script.sh") << script;
        lease_.config.command->run = {"/bin/sh", "script.sh"};
        ended_.reset();
        runner_->start(lease_);
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return ended_.has_value(); });
        return *ended_;
    }

    TemporaryFolder folder_;
    Lease lease_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::optional<AttemptEnded> ended_;
    std::int64_t progress_ = 0;
    std::optional<JobRunner> runner_;
};

TEST_F(Runner, ALogThatCannotBeWrittenIsTheHostsTrouble) {
    const std::string log_file = lease_.log_file;
    lease_.log_file = "/proc/no-logs/job.log";
    const auto ended = run("true");
    EXPECT_EQ(ended.cause, Cause::node_lost);
    EXPECT_THAT(ended.message, AllOf(HasSubstr("this host cannot run it"), HasSubstr("/proc/no-logs")));
    EXPECT_TRUE(runner_->usable());
    lease_.log_file = log_file;
    EXPECT_EQ(run("true").cause, Cause::succeeded);
}

TEST_F(Runner, ACheckpointDirectoryThatCannotBeMadeIsTheHostsTrouble) {
    lease_.checkpoints.folder = "/proc/checkpoints";
    EXPECT_EQ(run("true").cause, Cause::node_lost);
}

TEST_F(Runner, ProgressIsPassedOnAsOftenAsItIsShown) {
    const auto begun_at = Clock::now();
    EXPECT_EQ(
        run("i=0; while [ $i -lt 20000 ]; do echo '{\"step\": 1}'; i=$((i+1)); done > $ORCHESTRATE_METRICS")
            .cause,
        Cause::succeeded);
    const auto tenths = (Clock::now() - begun_at) / std::chrono::milliseconds(100);
    EXPECT_THAT(progress_, Le(tenths + 1));
    EXPECT_GE(progress_, 1);
}

}  // namespace
}  // namespace orchestrate
