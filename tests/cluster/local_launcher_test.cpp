// Workers as local processes: what they are given, how they end, and that nothing of them stays.
#include <chrono>
#include <csignal>
#include <fstream>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include "cluster/child_process.h"
#include "cluster/command.h"
#include "cluster/launcher.h"
#include "common/base/temporary_folder.h"
#include "event_pipe.h"

namespace orchestrate {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string text_of(const std::filesystem::path& file) {
    std::ifstream stream(file);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

// The next exit, waiting for any child to end.
WorkerExit next_exit(Launcher& launcher) {
    while (true) {
        const std::vector<WorkerExit> exits = launcher.poll();
        if (!exits.empty()) {
            EXPECT_EQ(exits.size(), 1U);
            return exits.front();
        }
        siginfo_t info{};
        if (::waitid(P_ALL, 0, &info, WEXITED | WNOWAIT) != 0) {
            throw std::runtime_error("no child is left, and none was reported");
        }
    }
}

class LocalLauncherTest : public ::testing::Test {
  protected:
    // A worker that is this shell script; $name, $events and $logs are set in it.
    WorkerSpec script_worker(const std::string& name, const std::string& body) {
        const std::filesystem::path program = folder_.path() / (name + ".sh");
        std::ofstream(program) << "#!/bin/sh\nname=$4\nlogs=" << shell_quoted(folder_.path().string())
                               << "\nevents=$logs/events\n"
                               << body << "\n";
        std::filesystem::permissions(program, std::filesystem::perms::owner_all);
        WorkerSpec spec;
        spec.name = name;
        spec.access_file = folder_.path() / "study.access";
        spec.log_folder = folder_.path();
        spec.worker_program = program;
        return spec;
    }

    TemporaryFolder folder_;
    EventPipe never_{folder_.path() / "never"};  // reading from it is waiting
    EventPipe events_{folder_.path() / "events"};
    std::unique_ptr<Launcher> launcher_ = make_local_launcher(true);
};

TEST_F(LocalLauncherTest, GivesAWorkerItsArgumentsEnvironmentAndOutputFile) {
    WorkerSpec spec =
        script_worker("w1", "echo \"$@\"; echo $OMP_NUM_THREADS $MKL_NUM_THREADS $CUDA_VISIBLE_DEVICES >&2");
    spec.threads_per_rank = 3;
    spec.device = "cuda";
    spec.cuda_devices = {"2", "5"};
    launcher_->start(spec);
    EXPECT_EQ(next_exit(*launcher_).exit_code, 0);
    const std::string folder = folder_.path().string();
    EXPECT_EQ(text_of(folder_.path() / "w1.out"),
              "--access " + folder + "/study.access --name w1 --ranks 1 --threads 3 " +
                  "--device cuda --log-folder " + folder + " --heartbeat 4\n3 3 2,5\n");
}

TEST_F(LocalLauncherTest, ReportsEachExitOnceWithItsCodeOrSignal) {
    launcher_->start(script_worker("code", "exit 7"));
    EXPECT_THAT(launcher_->running(), ::testing::ElementsAre("code"));
    const WorkerExit code = next_exit(*launcher_);
    EXPECT_EQ(code.name, "code");
    EXPECT_EQ(code.exit_code, 7);
    EXPECT_EQ(code.signal, 0);
    EXPECT_TRUE(launcher_->running().empty());
    EXPECT_TRUE(launcher_->poll().empty());

    launcher_->start(script_worker("signal", "kill -SEGV $$"));
    const WorkerExit signal = next_exit(*launcher_);
    EXPECT_EQ(signal.exit_code, 0);
    EXPECT_EQ(signal.signal, SIGSEGV);
}

TEST_F(LocalLauncherTest, AWorkerThatStopsGracefullyIsNotKilled) {
    launcher_->start(script_worker(
        "w1",
        "trap 'echo saved >$events; exit 3' TERM; echo up >$events; while :; do read x <$logs/never; done"));
    ASSERT_EQ(events_.next_line(), "up");
    launcher_->stop("w1", hours(1));
    EXPECT_EQ(events_.next_line(), "saved");
    const WorkerExit exit = next_exit(*launcher_);
    EXPECT_EQ(exit.exit_code, 3);
    EXPECT_EQ(exit.signal, 0);
}

TEST_F(LocalLauncherTest, AWorkerThatDoesNotStopIsKilledAfterItsGraceAndNotBefore) {
    launcher_->start(
        script_worker("deaf", "trap '' TERM; echo up >$events; while :; do read x <$logs/never; done"));
    ASSERT_EQ(events_.next_line(), "up");
    launcher_->stop("deaf", hours(1));
    EXPECT_TRUE(launcher_->poll().empty());
    EXPECT_THAT(launcher_->running(), ::testing::ElementsAre("deaf"));
    launcher_->stop("deaf", milliseconds(0));
    EXPECT_EQ(next_exit(*launcher_).signal, SIGKILL);
}

TEST_F(LocalLauncherTest, WhatAWorkerLeftBehindIsKilledWithIt) {
    // The child holds the pipe "alive" open for writing: its end of file is the child's end.
    ASSERT_EQ(::mkfifo((folder_.path() / "alive").c_str(), 0600), 0);
    launcher_->start(script_worker("w1", "exec 3>$logs/alive; echo up >&3; tail -f /dev/null & exit 0"));
    std::ifstream alive(folder_.path() / "alive");
    EXPECT_EQ(next_exit(*launcher_).exit_code, 0);
    const std::string all((std::istreambuf_iterator<char>(alive)), std::istreambuf_iterator<char>());
    EXPECT_EQ(all, "up\n");
}

TEST_F(LocalLauncherTest, SaysWhyAWorkerCannotStart) {
    WorkerSpec spec = script_worker("w1", "");
    spec.worker_program = folder_.path() / "no-such-worker";
    try {
        launcher_->start(spec);
        FAIL() << "started a program that is not there";
    } catch (const std::runtime_error& error) {
        EXPECT_THAT(error.what(), HasSubstr("no-such-worker"));
        EXPECT_THAT(error.what(), HasSubstr("No such file"));
    }
    EXPECT_TRUE(launcher_->running().empty());
}

TEST_F(LocalLauncherTest, RefusesASecondWorkerOfTheSameName) {
    launcher_->start(script_worker("w1", "exec tail -f /dev/null"));
    EXPECT_THROW(launcher_->start(script_worker("w1", "exit 0")), std::runtime_error);
    launcher_->stop("w1", milliseconds(0));
    EXPECT_EQ(next_exit(*launcher_).name, "w1");
}

TEST_F(LocalLauncherTest, DoesNotTakeChildrenThatItDidNotStart) {
    const pid_t stranger = ::fork();
    if (stranger == 0) {
        ::_exit(9);
    }
    siginfo_t info{};
    ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(stranger), &info, WEXITED | WNOWAIT), 0);
    EXPECT_TRUE(launcher_->poll().empty());
    int status = 0;
    EXPECT_EQ(::waitpid(stranger, &status, 0), stranger);
    EXPECT_EQ(WEXITSTATUS(status), 9);
}

TEST_F(LocalLauncherTest, WorkersEndWithTheirParentOnlyIfAsked) {
    for (const bool die_with_parent : {true, false}) {
        const std::string name = die_with_parent ? "dies" : "stays";
        const WorkerSpec spec = script_worker(name,
                                              "trap 'echo $name down >$events; exit' TERM; echo $name up $$ "
                                              ">$events; while :; do read x <$logs/never; done");
        const pid_t parent = ::fork();
        if (parent == 0) {
            make_local_launcher(die_with_parent)->start(spec);
            ::pause();
        }
        const std::string up = events_.next_line();
        ASSERT_THAT(up, StartsWith(name + " up "));
        const pid_t worker = std::stoi(up.substr(name.size() + 4));
        ::kill(parent, SIGKILL);
        ::waitpid(parent, nullptr, 0);
        if (die_with_parent) {
            EXPECT_EQ(events_.next_line(), "dies down");
        } else {
            EXPECT_EQ(::kill(worker, 0), 0);
            ::kill(worker, SIGTERM);
            EXPECT_EQ(events_.next_line(), "stays down");
        }
    }
}

struct MpiLibrary {
    std::string mpirun;
    std::filesystem::path probe_worker;
};

class MpirunTest : public LocalLauncherTest, public ::testing::WithParamInterface<MpiLibrary> {
  protected:
    MpirunTest() { ::setenv("ORCHESTRATE_MPIRUN", GetParam().mpirun.c_str(), 1); }
    ~MpirunTest() override { ::unsetenv("ORCHESTRATE_MPIRUN"); }

    WorkerSpec probe_worker(const std::string& name) {
        WorkerSpec spec = script_worker(name, "");
        spec.ranks = 2;
        spec.worker_program = GetParam().probe_worker;
        return spec;
    }
    std::string output() const { return text_of(folder_.path() / "wide.out"); }
};

TEST_P(MpirunTest, StartsAllRanksAndStopsThemGracefully) {
    launcher_->start(probe_worker("wide"));
    const std::vector<std::string> up{events_.next_line(), events_.next_line()};
    EXPECT_THAT(up, ::testing::UnorderedElementsAre(StartsWith("up wide 0/2"), StartsWith("up wide 1/2")))
        << output();
    EXPECT_THAT(up, ::testing::Each(HasSubstr("sum 1 threads 1")));
    launcher_->stop("wide", hours(1));
    EXPECT_THAT((std::vector<std::string>{events_.next_line(), events_.next_line()}),
                ::testing::UnorderedElementsAre("down wide 0/2 by 15", "down wide 1/2 by 15"));
    const WorkerExit exit = next_exit(*launcher_);
    EXPECT_EQ(exit.exit_code, 0) << output();
    EXPECT_EQ(exit.signal, 0);
    EXPECT_THAT(output(), HasSubstr("this is wide 1/2"));
}

TEST_P(MpirunTest, KillsRanksThatDoNotStop) {
    ASSERT_EQ(::mkfifo((folder_.path() / "alive").c_str(), 0600), 0);
    launcher_->start(probe_worker("deaf"));
    std::ifstream alive(folder_.path() / "alive");  // ends when no rank holds it open
    ASSERT_THAT(events_.next_line(), StartsWith("up deaf"));
    ASSERT_THAT(events_.next_line(), StartsWith("up deaf"));
    launcher_->stop("deaf", milliseconds(0));
    EXPECT_EQ(next_exit(*launcher_).signal, SIGKILL);
    EXPECT_EQ(std::string((std::istreambuf_iterator<char>(alive)), std::istreambuf_iterator<char>()), "");
}

TEST_P(MpirunTest, ReportsAWorkerThatLostARank) {
    ASSERT_EQ(::mkfifo((folder_.path() / "alive").c_str(), 0600), 0);
    launcher_->start(probe_worker("dying"));
    std::ifstream alive(folder_.path() / "alive");
    const WorkerExit exit = next_exit(*launcher_);
    EXPECT_EQ(exit.exit_code, 128 + SIGKILL);
    EXPECT_EQ(std::string((std::istreambuf_iterator<char>(alive)), std::istreambuf_iterator<char>()), "");
}

void stop_ranks_below(pid_t pid) {
    for (const pid_t child : children_of(pid)) {
        if (process_name(child) == "hydra_pmi_proxy") {
            stop_ranks_below(child);
        } else {
            ::kill(child, SIGSTOP);
        }
    }
}

TEST_P(MpirunTest, StoppedRanksDoNotOutliveAKilledMpirun) {
    ASSERT_EQ(::mkfifo((folder_.path() / "alive").c_str(), 0600), 0);
    launcher_->start(probe_worker("wide"));
    std::ifstream alive(folder_.path() / "alive");  // ends when no rank holds it open
    ASSERT_THAT(events_.next_line(), StartsWith("up wide"));
    ASSERT_THAT(events_.next_line(), StartsWith("up wide"));
    EXPECT_TRUE(launcher_->poll().empty());  // sees the ranks
    const std::vector<pid_t> children = children_of(::getpid());
    ASSERT_EQ(children.size(), 1U);
    stop_ranks_below(children.front());
    ::kill(children.front(), SIGKILL);
    EXPECT_EQ(next_exit(*launcher_).signal, SIGKILL);
    EXPECT_EQ(std::string((std::istreambuf_iterator<char>(alive)), std::istreambuf_iterator<char>()), "");
}

TEST_P(MpirunTest, RanksStartedInsideAnotherMpiJobDoNotJoinIt) {
    const Environment enclosing{{"OMPI_COMM_WORLD_SIZE", "8"},
                                {"OMPI_MCA_orte_hnp_uri", "nowhere"},
                                {"PMI_RANK", "3"},
                                {"PMI_FD", "99"},
                                {"SLURM_JOBID", "77"},
                                {"SLURM_NODELIST", "n7"}};
    for (const auto& [variable, value] : enclosing) {
        ::setenv(variable.c_str(), value.c_str(), 1);
    }
    launcher_->start(probe_worker("wide"));
    for (const auto& [variable, value] : enclosing) {
        ::unsetenv(variable.c_str());
    }
    EXPECT_THAT(events_.next_line(), HasSubstr("/2 on ")) << output();
    EXPECT_THAT(events_.next_line(), HasSubstr("/2 on ")) << output();
    launcher_->stop("wide", hours(1));
    EXPECT_EQ(next_exit(*launcher_).exit_code, 0) << output();
}

INSTANTIATE_TEST_SUITE_P(Libraries, MpirunTest,
                         ::testing::Values(MpiLibrary{"mpirun.openmpi", PROBE_WORKER_OPENMPI},
                                           MpiLibrary{"mpirun.mpich", PROBE_WORKER_MPICH}),
                         [](const auto& library) { return library.param.mpirun.substr(7); });

}  // namespace
}  // namespace orchestrate
