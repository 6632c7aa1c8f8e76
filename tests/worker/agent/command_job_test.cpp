// Attempts of commands: what they are told, what is made of what they say, and how they end. The commands are real.
#include "worker/agent/command_job.h"

#include <chrono>
#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "common/sha256.h"
#include "common/temporary_folder.h"

namespace orchestrate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using namespace std::chrono_literals;

std::string content(const std::filesystem::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

bool is_alive(pid_t process) {
    return kill(process, 0) == 0 &&
           content("/proc/" + std::to_string(process) + "/stat").find(") Z ") == std::string::npos;
}

// Until it holds, or 20 s.
template <class Condition>
bool comes_true(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) {
            return false;
        }
        std::this_thread::sleep_for(2ms);
    }
    return true;
}

class Recorder : public AttemptObserver {
  public:
    void on_progress(const TrainingProgress& line) override { progress.push_back(line); }
    void on_epoch(const EpochMetrics& line) override { epochs.push_back(line); }
    void on_log(const std::string& line) override { log += line + "\n"; }
    void on_resume(const ResumePoint& point) override { resumed = point.attempt; }
    void on_advance() override { ++advances; }

    std::vector<TrainingProgress> progress;
    std::vector<EpochMetrics> epochs;
    std::string log;
    std::int64_t resumed = 0;
    std::atomic<int> advances = 0;
};

class CommandJob : public ::testing::Test {
  protected:
    CommandJob() {
        lease_.attempt = {7, 2};
        lease_.config.seed = {3, 4};
        lease_.config.command.emplace();
        lease_.config.command->parameters = {{"rate", 0.5}, {"layers", {64, 32}}, {"name", "a b"}};
        lease_.paths.command_folder = folder_.path().string();
        lease_.checkpoints.folder = (folder_.path() / "checkpoints").string();
        std::filesystem::create_directory(lease_.checkpoints.folder);
        lease_.resources.metrics = {"test accuracy"};
    }

    // The script as it stands: its braces are no names of parameters.
    AttemptOutcome run(const std::string& script) {
        std::string argument;
        for (const char c : script) {
            argument += c == '{' || c == '}' ? std::string(2, c) : std::string(1, c);
        }
        lease_.config.command->run = {"/bin/sh", "-c", argument};
        return jobs_.run(lease_, seen_, stop_);
    }

    TemporaryFolder folder_;
    Lease lease_;
    Recorder seen_;
    std::atomic<bool> stop_ = false;
    CommandJobs jobs_{{.threads = 3, .device = DeviceKind::cpu, .stop_grace = 300ms}};
};

constexpr const char* kReportAccuracy = R"(echo '{"metrics": {"accuracy": 0.75}}' > $ORCHESTRATE_METRICS)";

TEST_F(CommandJob, SucceedsWithWhatItHasReported) {
    const auto outcome = run(R"(
        echo '{"step": 1, "steps": 4, "loss": 0.9}' >> $ORCHESTRATE_METRICS
        echo '{"epoch": 1, "metrics": {"loss": 0.8}}' >> $ORCHESTRATE_METRICS
        echo '{"metrics": {"accuracy": 0.5}}' >> $ORCHESTRATE_METRICS
        echo '{"metrics": {"accuracy": 0.75, "loss": 2}}' > $ORCHESTRATE_METRICS
        printf '{"metrics": {"accuracy": 0.7}, "part": "validation"}' > $ORCHESTRATE_METRICS)");
    EXPECT_EQ(outcome.cause, Cause::succeeded) << outcome.message;
    EXPECT_TRUE(outcome.result.of_command);
    EXPECT_THAT(
        outcome.result.named,
        ::testing::UnorderedElementsAre(NamedMetric{"test", "accuracy", 0.75}, NamedMetric{"test", "loss", 2},
                                        NamedMetric{"validation", "accuracy", 0.7}));
    ASSERT_EQ(seen_.progress.size(), 1U);
    EXPECT_EQ(seen_.progress[0].steps, 4);
    ASSERT_EQ(seen_.epochs.size(), 1U);
    EXPECT_THAT(seen_.epochs[0].named, ElementsAre(NamedMetric{"validation", "loss", 0.8}));
    EXPECT_GT(outcome.result.peak_memory_bytes, 0);
}

TEST_F(CommandJob, IsToldItsConfiguration) {
    lease_.checkpoints.resume_from = {{1, 0, "/earlier/attempt-1", "", 0}};
    lease_.resources.ranks = 2;
    lease_.resources.metrics.clear();
    lease_.config.command->run = {"/bin/sh",
                                  "-c",
                                  R"(cat $ORCHESTRATE_CONFIG > config.json
        env > environment
        echo "$@" > arguments
        cat > input)",
                                  "sh",
                                  "{rate} {layers}",
                                  "{name}",
                                  "{seed}",
                                  "{config}",
                                  "{{}}"};
    const auto outcome = jobs_.run(lease_, seen_, stop_);
    EXPECT_EQ(outcome.cause, Cause::succeeded) << outcome.message;
    const Json config = Json::parse(content(folder_.path() / "config.json"));
    EXPECT_EQ(config["parameters"], lease_.config.command->parameters);
    EXPECT_EQ(config["seed"], 3);
    EXPECT_EQ(config["seeds"], Json(lease_.config.seed));
    EXPECT_THAT(content(folder_.path() / "arguments"),
                ::testing::MatchesRegex("0.5 \\[64,32\\] a b 3 /.*/config.json \\{\\}\n"));
    EXPECT_THAT(content(folder_.path() / "environment"),
                ::testing::AllOf(HasSubstr("ORCHESTRATE_CHECKPOINTS=" + lease_.checkpoints.folder + "\n"),
                                 HasSubstr("ORCHESTRATE_RESUME=/earlier/attempt-1\n"),
                                 HasSubstr("ORCHESTRATE_SEED=3\n"), HasSubstr("ORCHESTRATE_RANKS=2\n"),
                                 HasSubstr("ORCHESTRATE_JOB=7\n"), HasSubstr("ORCHESTRATE_ATTEMPT=2\n"),
                                 HasSubstr("OMP_NUM_THREADS=6\n")));
    EXPECT_EQ(seen_.resumed, 1);
    EXPECT_THAT(content(folder_.path() / "input"), IsEmpty());
}

TEST_F(CommandJob, LeavesNothingBehind) {
    run(std::string("dirname $ORCHESTRATE_CONFIG > where; ls $(dirname $ORCHESTRATE_CONFIG) > what; ") +
        kReportAccuracy);
    std::string where = content(folder_.path() / "where");
    where.pop_back();
    EXPECT_EQ(content(folder_.path() / "what"), "config.json\nmetrics\n");
    EXPECT_FALSE(std::filesystem::exists(where));
}

TEST_F(CommandJob, KeepsWhatItPrintsInTheLog) {
    run(std::string("echo to output; echo to errors >&2; printf 'old\\rnew\\rlast'; ") + kReportAccuracy);
    EXPECT_THAT(seen_.log, ::testing::AllOf(HasSubstr("| to output\n"), HasSubstr("! to errors\n"),
                                            HasSubstr("| last\n"), Not(HasSubstr("old"))));
    EXPECT_GT(seen_.advances, 0);
}

TEST_F(CommandJob, FailsWithItsLastWords) {
    const auto outcome = run("for i in 1 2 3 4 5 6 7; do echo line $i >&2; done; exit 3");
    EXPECT_EQ(outcome.cause, Cause::user_error);
    EXPECT_EQ(outcome.message,
              "the command ended with exit code 3; the last it said:\n  line 3\n  line 4\n  line 5\n  line "
              "6\n  line 7");
}

TEST_F(CommandJob, ThatIsKilledHasCrashed) {
    const auto killed = run("kill -KILL $$");
    EXPECT_EQ(killed.cause, Cause::worker_crashed);
    EXPECT_THAT(killed.message, HasSubstr("signal 9"));
    EXPECT_EQ(run("kill -SEGV $$").cause, Cause::worker_crashed);
}

TEST_F(CommandJob, WithoutItsMetricHasNotSucceeded) {
    const auto outcome = run(R"(echo '{"metrics": {"acuracy": 0.75}}' > $ORCHESTRATE_METRICS
        echo '{"metric": {"accuracy": 0.75}}' > $ORCHESTRATE_METRICS)");
    EXPECT_EQ(outcome.cause, Cause::user_error);
    EXPECT_THAT(outcome.message,
                ::testing::AllOf(HasSubstr("without the metric 'test accuracy'"),
                                 HasSubstr("reported: test acuracy"), HasSubstr("did you mean 'metrics'?")));
}

TEST_F(CommandJob, MayAskToBeStartedAgain) {
    const auto again = run("echo state > $ORCHESTRATE_CHECKPOINTS/state; exit 75");
    EXPECT_EQ(again.cause, Cause::preempted);
    // Without a checkpoint it would never get on: counted, so that it ends.
    const auto stuck = run("exit 75");
    EXPECT_EQ(stuck.cause, Cause::worker_crashed);
    EXPECT_THAT(stuck.message, HasSubstr("written nothing to ORCHESTRATE_CHECKPOINTS"));
}

TEST_F(CommandJob, EndsWhenItIsAsked) {
    std::thread asking([&] {
        comes_true([&] { return std::filesystem::exists(folder_.path() / "ready"); });
        stop_ = true;
    });
    const auto outcome =
        run("trap 'echo saved > saved; exit 75' TERM; touch ready; while true; do sleep 0.02; done");
    asking.join();
    EXPECT_EQ(outcome.cause, Cause::preempted);
    EXPECT_THAT(outcome.message, IsEmpty());
    EXPECT_EQ(content(folder_.path() / "saved"), "saved\n");
}

// Also what it has started: the whole process group.
TEST_F(CommandJob, IsKilledIfItDoesNotEnd) {
    std::thread asking([&] {
        comes_true([&] { return !content(folder_.path() / "child").empty(); });
        stop_ = true;
    });
    const auto outcome =
        run("trap '' TERM; sleep 1000 & echo $! > child; wait; while true; do sleep 0.02; done");
    asking.join();
    EXPECT_EQ(outcome.cause, Cause::preempted);
    const pid_t child = std::stoi(content(folder_.path() / "child"));
    EXPECT_TRUE(comes_true([&] { return !is_alive(child); }));
}

TEST_F(CommandJob, WhatItLeavesRunningIsKilledAtItsEnd) {
    const auto outcome = run(std::string("sleep 1000 & echo $! > child; ") + kReportAccuracy);
    EXPECT_EQ(outcome.cause, Cause::succeeded) << outcome.message;
    const pid_t child = std::stoi(content(folder_.path() / "child"));
    EXPECT_TRUE(comes_true([&] { return !is_alive(child); }));
}

// A worker that is killed cannot end what it has started; its guard does.
TEST_F(CommandJob, DiesWithItsWorker) {
    const pid_t worker = fork();
    if (worker == 0) {
        CommandJobs jobs({.threads = 1, .device = DeviceKind::cpu, .stop_grace = 300ms});
        lease_.config.command->run = {"/bin/sh", "-c",
                                      "sleep 1000 & echo $! > part; mv part child; sleep 1000"};
        jobs.run(lease_, seen_, stop_);
        _exit(0);
    }
    const auto child_file = folder_.path() / "child";
    ASSERT_TRUE(comes_true([&] { return std::filesystem::exists(child_file); }));
    const pid_t child = std::stoi(content(child_file));
    EXPECT_TRUE(is_alive(child));
    kill(worker, SIGKILL);
    waitpid(worker, nullptr, 0);
    EXPECT_TRUE(comes_true([&] { return !is_alive(child); }));
}

TEST_F(CommandJob, RefusesFilesOfAnotherContent) {
    std::ofstream(folder_.path() / "train.py") << "print(1)\n";
    lease_.config.command->files = {{"train.py", sha256_hex("print(1)\n")}};
    EXPECT_EQ(run(kReportAccuracy).cause, Cause::succeeded);
    std::ofstream(folder_.path() / "train.py") << "print(2)\n";
    try {
        run(kReportAccuracy);
        FAIL() << "was run";
    } catch (const UserError& error) {
        EXPECT_THAT(error.what(), HasSubstr("train.py' has changed since the study was read"));
    }
    std::filesystem::remove(folder_.path() / "train.py");
    EXPECT_THROW(run(kReportAccuracy), UserError);
}

TEST_F(CommandJob, SaysWhatCannotBeRun) {
    lease_.config.command->run = {"no-such-program"};
    try {
        jobs_.run(lease_, seen_, stop_);
        FAIL() << "was run";
    } catch (const UserError& error) {
        EXPECT_THAT(error.what(), HasSubstr("cannot run 'no-such-program': No such file or directory"));
    }
    lease_.paths.command_folder = "/no/such/folder";
    EXPECT_THROW(jobs_.run(lease_, seen_, stop_), UserError);
}

// More than pipes hold, on all three at once.
TEST_F(CommandJob, MayPrintMuch) {
    const auto outcome = run(std::string(R"(
        i=0; while [ $i -lt 3000 ]; do
            echo "a line of some length, number $i"; echo "an error of some length, number $i" >&2
            echo "{\"step\": $i}" >> $ORCHESTRATE_METRICS; i=$((i + 1)); done; )") +
                             R"(echo '{"metrics": {"accuracy": 1}}' > $ORCHESTRATE_METRICS)");
    EXPECT_EQ(outcome.cause, Cause::succeeded) << outcome.message;
    EXPECT_EQ(seen_.progress.size(), 3000U);
    EXPECT_THAT(seen_.log, HasSubstr("number 2999"));
}

}  // namespace
}  // namespace orchestrate
