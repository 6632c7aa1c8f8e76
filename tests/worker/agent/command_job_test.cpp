// Attempts of commands: what they are told, what is made of what they say, and how they end. The commands are real.
#include "worker/agent/command_job.h"

#include <chrono>
#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/machine_trouble.h"
#include "common/base/sha256.h"
#include "common/base/temporary_folder.h"

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
        lease_.attempt = {JobId(7), 2};
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

    // Files of an earlier attempt; returns their directory.
    std::string left_by_attempt_1(std::initializer_list<const char*> names) {
        const auto directory = folder_.path() / "attempt-1";
        for (const char* name : names) {
            std::filesystem::create_directories((directory / name).parent_path());
            std::ofstream(directory / name) << "state of attempt 1";
        }
        return directory.string();
    }

    // The process whose number a script has written into a file, once it is there.
    pid_t process_in(const char* name) {
        const auto file = folder_.path() / name;
        EXPECT_TRUE(comes_true([&] { return content(file).ends_with("\n"); })) << name;
        return std::stoi(content(file));
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
    EXPECT_THAT(outcome.result.metrics,
                ::testing::UnorderedElementsAre(MetricValue{MetricPart::test, "accuracy", 0.75},
                                                MetricValue{MetricPart::test, "loss", 2},
                                                MetricValue{MetricPart::validation, "accuracy", 0.7}));
    ASSERT_EQ(seen_.progress.size(), 1U);
    EXPECT_EQ(seen_.progress[0].steps, 4);
    ASSERT_EQ(seen_.epochs.size(), 1U);
    EXPECT_THAT(seen_.epochs[0].metrics, ElementsAre(MetricValue{MetricPart::validation, "loss", 0.8}));
    EXPECT_GT(outcome.result.peak_memory_bytes, 0);
}

TEST_F(CommandJob, IsToldItsConfiguration) {
    const std::string earlier = left_by_attempt_1({"weights"});
    lease_.checkpoints.resume_from = {{1, 0, earlier, "", 0}};
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
    EXPECT_THAT(
        content(folder_.path() / "environment"),
        ::testing::AllOf(HasSubstr("ORCHESTRATE_CHECKPOINTS=" + lease_.checkpoints.folder + "\n"),
                         HasSubstr("ORCHESTRATE_RESUME=" + earlier + "\n"), HasSubstr("ORCHESTRATE_SEED=3\n"),
                         HasSubstr("ORCHESTRATE_RANKS=2\n"), HasSubstr("ORCHESTRATE_JOB=7\n"),
                         HasSubstr("ORCHESTRATE_ATTEMPT=2\n"), HasSubstr("OMP_NUM_THREADS=6\n")));
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
    EXPECT_EQ(
        outcome.message,
        "the command ended with exit code 3: line 7\nits last lines:\n  line 3\n  line 4\n  line 5\n  line "
        "6\n  line 7");
}

TEST_F(CommandJob, FailsWithWhatItPrintedIfItSaidNoError) {
    EXPECT_EQ(run("echo wrong input; printf '\\n \\n'; exit 3").message,
              "the command ended with exit code 3: wrong input");
    EXPECT_EQ(run("exit 3").message, "the command ended with exit code 3");
}

// What it prints is not obeyed by the terminal on which it is shown.
TEST_F(CommandJob, ItsWordsAreShownAndNothingElse) {
    const auto outcome = run("printf '\\033[31mred\\033[0m \\033]0;title\\007\\007end\\n' >&2; exit 3");
    EXPECT_EQ(outcome.message, "the command ended with exit code 3: red \\x07end");
    EXPECT_THAT(seen_.log, ::testing::AllOf(HasSubstr("! red "), Not(HasSubstr("\033"))));
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
                ::testing::AllOf(HasSubstr("the metric 'test accuracy' was not reported"),
                                 HasSubstr("reported: test acuracy"), HasSubstr("did you mean 'metrics'?")));
}

TEST_F(CommandJob, ThatDivergesHasNotSucceeded) {
    const auto outcome = run(std::string(kReportAccuracy) +
                             R"(; echo '{"metrics": {"accuracy": NaN}}' > $ORCHESTRATE_METRICS)");
    EXPECT_EQ(outcome.cause, Cause::diverged);
    EXPECT_THAT(outcome.message, HasSubstr("the last test accuracy is NaN (line 2 of the metrics)"));
    EXPECT_EQ(run(R"(echo '{"metrics": {"accuracy": Infinity}}' > $ORCHESTRATE_METRICS; exit 1)").cause,
              Cause::diverged);
}

TEST_F(CommandJob, ALastLineWithoutItsEndIsNoOlderValue) {
    const auto outcome = run(std::string(kReportAccuracy) +
                             R"(; printf '{"metrics": {"accuracy": 0.' > $ORCHESTRATE_METRICS)");
    EXPECT_EQ(outcome.cause, Cause::user_error);
    EXPECT_THAT(outcome.message, HasSubstr("line 2 of the metrics is not understood"));
}

TEST_F(CommandJob, MayAskToBeStartedAgain) {
    const auto again = run("echo state > $ORCHESTRATE_CHECKPOINTS/state; exit 75");
    EXPECT_EQ(again.cause, Cause::preempted);
    EXPECT_TRUE(again.asks_again);
}

// It would be started for ever: counted, so that it ends.
TEST_F(CommandJob, ThatWroteNothingNewIsNotStartedForEver) {
    const auto stuck = run("exit 75");
    EXPECT_FALSE(stuck.asks_again);
    EXPECT_EQ(stuck.cause, Cause::worker_crashed);
    EXPECT_THAT(stuck.message, HasSubstr("no new finished file to ORCHESTRATE_CHECKPOINTS"));
    for (const char* unfinished : {"x.tmp", "x.part", ".x"}) {
        EXPECT_EQ(run(std::string("touch $ORCHESTRATE_CHECKPOINTS/") + unfinished + "; exit 75").cause,
                  Cause::worker_crashed)
            << unfinished;
    }
    EXPECT_EQ(
        run("mkdir $ORCHESTRATE_CHECKPOINTS/x.tmp; touch $ORCHESTRATE_CHECKPOINTS/x.tmp/weights; exit 75")
            .cause,
        Cause::worker_crashed);
    EXPECT_EQ(run("mkdir -p $ORCHESTRATE_CHECKPOINTS/empty/directory; exit 75").cause, Cause::worker_crashed);
}

TEST_F(CommandJob, ThatCopiedItsOldCheckpointHasWrittenNothingNew) {
    lease_.checkpoints.resume_from = {{1, 0, left_by_attempt_1({"weights", "deep/state"}), "", 0}};
    EXPECT_EQ(run("cp -r $ORCHESTRATE_RESUME/* $ORCHESTRATE_CHECKPOINTS/; exit 75").cause,
              Cause::worker_crashed);
    EXPECT_EQ(run("echo more >> $ORCHESTRATE_CHECKPOINTS/deep/state; exit 75").cause, Cause::preempted);
}

TEST_F(CommandJob, ResumesFromADirectory) {
    const auto directory = left_by_attempt_1({"step-20.safetensors", "optimizer.bin"});
    // A file of the name of the training's checkpoints comes as a file.
    lease_.checkpoints.resume_from = {{1, 20, directory + "/step-20.safetensors", "", 0},
                                      {1, 0, directory, "", 0}};
    run("echo $ORCHESTRATE_RESUME > where");
    EXPECT_EQ(content(folder_.path() / "where"), directory + "\n");
}

TEST_F(CommandJob, PassesOverAnEarlierAttemptWithoutFinishedFiles) {
    std::filesystem::create_directories(folder_.path() / "attempt-9/model.tmp");
    std::ofstream(folder_.path() / "attempt-9/model.tmp/weights") << "half";
    const auto directory = left_by_attempt_1({"weights"});
    lease_.checkpoints.resume_from = {{9, 0, (folder_.path() / "attempt-9").string(), "", 0},
                                      {1, 0, directory, "", 0}};
    run("echo $ORCHESTRATE_RESUME > where");
    EXPECT_EQ(content(folder_.path() / "where"), directory + "\n");
    EXPECT_EQ(seen_.resumed, 1);
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

// A child in a session of its own, with no environment and another parent: found by nothing but its descent.
constexpr const char* kEscape =
    "setsid env -i /bin/sh -c '/bin/sleep 1000 & echo $! > part; mv part escaped'; ";

TEST_F(CommandJob, WhatHasEscapedIsKilledAtItsEnd) {
    const auto outcome = run(std::string(kEscape) + kReportAccuracy);
    EXPECT_EQ(outcome.cause, Cause::succeeded) << outcome.message;
    EXPECT_FALSE(is_alive(process_in("escaped")));  // at once: the attempt has waited for it
}

TEST_F(CommandJob, WhatHasEscapedIsKilledWithOneThatDoesNotEnd) {
    std::thread asking([&] {
        process_in("escaped");
        stop_ = true;
    });
    const auto outcome = run(std::string("trap '' TERM; ") + kEscape + "while true; do sleep 0.02; done");
    asking.join();
    EXPECT_EQ(outcome.cause, Cause::preempted);
    EXPECT_THAT(outcome.message, HasSubstr("killed, since it had not ended 0.3 s after it was asked to"));
    EXPECT_FALSE(is_alive(process_in("escaped")));
}

// A child that holds its pipes, and writes without end, delays nothing and fills nothing.
TEST_F(CommandJob, AChildThatHoldsItsPipesDoesNotKeepItFromEnding) {
    for (const char* pipe : {"", ">&2", "> $ORCHESTRATE_METRICS"}) {
        seen_.log.clear();
        const auto outcome =
            run(std::string(kReportAccuracy) + "; setsid yes " + pipe + " & echo $! > child; exit 3");
        EXPECT_EQ(outcome.cause, Cause::user_error) << pipe;
        EXPECT_FALSE(is_alive(process_in("child"))) << pipe;
    }
}

// A worker that is killed cannot end what it has started; the command's supervisor does.
TEST_F(CommandJob, DiesWithItsWorker) {
    const auto scratch = folder_.path() / "scratch";
    std::filesystem::create_directory(scratch);
    const pid_t worker = fork();
    if (worker == 0) {
        CommandJobs jobs(
            {.threads = 1, .device = DeviceKind::cpu, .stop_grace = 300ms, .scratch_places = {scratch}});
        lease_.config.command->run = {
            "/bin/sh", "-c",
            std::string("sleep 1000 & echo $! > part; mv part child; ") + kEscape + "sleep 1000"};
        jobs.run(lease_, seen_, stop_);
        _exit(0);
    }
    const pid_t child = process_in("child");
    const pid_t escaped = process_in("escaped");
    EXPECT_TRUE(is_alive(child));
    EXPECT_TRUE(is_alive(escaped));
    EXPECT_FALSE(std::filesystem::is_empty(scratch));
    kill(worker, SIGKILL);
    waitpid(worker, nullptr, 0);
    EXPECT_TRUE(comes_true([&] { return !is_alive(child); }));
    EXPECT_TRUE(comes_true([&] { return !is_alive(escaped); }));
    EXPECT_TRUE(comes_true([&] { return std::filesystem::is_empty(scratch); })) << "its files are left";
}

// Somebody kills the supervisor: the kernel ends the command, and its mark is on what it had started.
TEST_F(CommandJob, DiesWithItsSupervisor) {
    std::thread killing([&] { kill(process_in("supervisor"), SIGKILL); });
    const auto outcome =
        run("echo $PPID > part; setsid sleep 1000 & echo $! > child; mv part supervisor; sleep 1000");
    killing.join();
    EXPECT_EQ(outcome.cause, Cause::worker_crashed);
    EXPECT_TRUE(comes_true([&] { return !is_alive(process_in("child")); }));
}

TEST_F(CommandJob, CannotStopItsSupervisor) {
    const auto outcome = run(std::string("kill -STOP $PPID; ") + kReportAccuracy);
    EXPECT_EQ(outcome.cause, Cause::succeeded) << outcome.message;
}

TEST_F(CommandJob, ManyChildrenInSessionsOfTheirOwnAreKilled) {
    const auto outcome =
        run("for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do "
            "setsid sh -c 'setsid sleep 1000 & echo $! >> children; wait' & done; "
            "while [ \"$(wc -l < children 2>/dev/null)\" != 20 ]; do sleep 0.01; done; exit 3");
    EXPECT_EQ(outcome.cause, Cause::user_error);
    std::istringstream children(content(folder_.path() / "children"));
    int count = 0;
    for (pid_t child = 0; children >> child; ++count) {
        EXPECT_FALSE(is_alive(child)) << child;
    }
    EXPECT_EQ(count, 20);
}

// A worker and its supervisor may be killed together. The next worker of this host ends what they have left.
TEST_F(CommandJob, LeftoversOfOthersAreRemoved) {
    const auto scratch = folder_.path() / "scratch";
    std::filesystem::create_directory(scratch);
    const CommandJobOptions options{
        .threads = 1, .device = DeviceKind::cpu, .stop_grace = 300ms, .scratch_places = {scratch}};
    const pid_t worker = fork();
    if (worker == 0) {
        CommandJobs jobs(options);
        lease_.config.command->run = {
            "/bin/sh", "-c",
            "echo $PPID > supervisor; setsid sleep 1000 & echo $! > part; mv part child; sleep 1000"};
        jobs.run(lease_, seen_, stop_);
        _exit(0);
    }
    const pid_t child = process_in("child");
    const pid_t supervisor = process_in("supervisor");
    kill(worker, SIGSTOP);
    kill(supervisor, SIGKILL);
    kill(worker, SIGKILL);
    waitpid(worker, nullptr, 0);
    EXPECT_FALSE(std::filesystem::is_empty(scratch));
    std::filesystem::create_directory(scratch / "orchestrate-command-of-somebody-else");
    CommandJobs next(options);
    lease_.config.command->run = {"/bin/true"};
    next.run(lease_, seen_, stop_);
    EXPECT_TRUE(comes_true([&] { return !is_alive(child); }));
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(scratch), {}), 1);
    EXPECT_TRUE(std::filesystem::exists(scratch / "orchestrate-command-of-somebody-else"));
}

TEST_F(CommandJob, UsesAnotherPlaceIfOneHasNoRoom) {
    CommandJobs jobs({.threads = 1,
                      .device = DeviceKind::cpu,
                      .stop_grace = 300ms,
                      .scratch_places = {"/proc", "/no/such/place", folder_.path()}});
    lease_.config.command->run = {"/bin/sh", "-c", "dirname $ORCHESTRATE_CONFIG > where"};
    lease_.resources.metrics.clear();
    EXPECT_EQ(jobs.run(lease_, seen_, stop_).cause, Cause::succeeded);
    EXPECT_THAT(content(folder_.path() / "where"), HasSubstr(folder_.path().string()));
}

TEST_F(CommandJob, WithoutDescriptorsItIsTheHostsTrouble) {
#ifdef __SANITIZE_ADDRESS__
    GTEST_SKIP() << "the undefined-behaviour sanitizer needs descriptors itself";
#endif
    lease_.config.command->run = {"/bin/true"};
    rlimit before{};
    getrlimit(RLIMIT_NOFILE, &before);
    const int next = dup(STDIN_FILENO);
    close(next);
    for (const int free : {0, 1, 2, 5, 8}) {
        const rlimit few{static_cast<rlim_t>(next + free), before.rlim_max};
        setrlimit(RLIMIT_NOFILE, &few);
        EXPECT_THROW(jobs_.run(lease_, seen_, stop_), MachineTrouble) << free;
        setrlimit(RLIMIT_NOFILE, &before);
    }
}

// Of what this host lacks no job is to blame.
TEST_F(CommandJob, WithoutAnyPlaceItIsTheHostsTrouble) {
    CommandJobs jobs({.threads = 1,
                      .device = DeviceKind::cpu,
                      .stop_grace = 300ms,
                      .scratch_places = {"/proc", "/no/such/place"}});
    try {
        jobs.run(lease_, seen_, stop_);
        FAIL() << "was run";
    } catch (const MachineTrouble& trouble) {
        EXPECT_THAT(trouble.what(), ::testing::AllOf(HasSubstr("'/proc'"), HasSubstr("'/no/such/place'")));
    }
    lease_.checkpoints.folder = "/proc/checkpoints";
    EXPECT_THROW(run(kReportAccuracy), MachineTrouble);
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
