// Command lines and environments of workers, and where their ranks are put.
#include "cluster/worker_command.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/allocation.h"
#include "cluster/srun_output.h"
#include "command_results.h"
#include "common/base/error.h"
#include "common/base/temporary_folder.h"

namespace orchestrate {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::Not;
using ::testing::Pair;

WorkerSpec worker(int ranks) {
    WorkerSpec spec;
    spec.name = "w1";
    spec.ranks = ranks;
    spec.threads_per_rank = 4;
    spec.access_file = "/shared/study.access";
    spec.log_folder = "/shared/logs";
    spec.worker_program = "/opt/orchestrate-worker";
    return spec;
}

CommandRunner answering(CommandResult result) {
    return [result](const std::vector<std::string>& /*arguments*/) { return result; };
}

TEST(WorkerEnvironment, LosesWhatAnEnclosingLauncherSetAndKeepsTheRest) {
    const Environment environment = worker_environment(worker(1), {{"SLURM_JOB_ID", "7"},
                                                                   {"SLURM_MEM_PER_CPU", "1500"},
                                                                   {"SLURM_CONF", "/etc/slurm.conf"},
                                                                   {"PMIX_RANK", "0"},
                                                                   {"OMPI_MCA_btl_tcp_if_include", "ib0"},
                                                                   {"HOME", "/home/lab"},
                                                                   {"OMP_NUM_THREADS", "64"}});
    EXPECT_THAT(environment,
                AllOf(Contains(Pair("SLURM_CONF", "/etc/slurm.conf")), Contains(Pair("HOME", "/home/lab")),
                      Contains(Pair("OMPI_MCA_btl_tcp_if_include", "ib0")),
                      Contains(Pair("OMP_NUM_THREADS", "4")), Contains(Pair("MKL_NUM_THREADS", "4")),
                      Contains(Pair("OMP_WAIT_POLICY", "passive")), Contains(Key("GOMP_SPINCOUNT"))));
    EXPECT_THAT(worker_environment(worker(1), {{"OMP_WAIT_POLICY", "active"}}),
                AllOf(Contains(Pair("OMP_WAIT_POLICY", "active")), Not(Contains(Key("GOMP_SPINCOUNT")))));
    EXPECT_THAT(worker_environment(worker(1), {{"GOMP_SPINCOUNT", "7"}}),
                AllOf(Contains(Pair("GOMP_SPINCOUNT", "7")), Not(Contains(Key("OMP_WAIT_POLICY")))));
    EXPECT_THAT(environment, Not(Contains(Key("SLURM_JOB_ID"))));
    EXPECT_THAT(environment, Not(Contains(Key("SLURM_MEM_PER_CPU"))));
    EXPECT_THAT(environment, Not(Contains(Key("PMIX_RANK"))));
    EXPECT_THAT(environment, Not(Contains(Key("CUDA_VISIBLE_DEVICES"))));
}

TEST(WorkerEnvironment, LosesOpenMpiSettingsThatMpirunWrote) {
    const Environment environment = worker_environment(
        worker(1), {{"OMPI_COMM_WORLD_SIZE", "2"}, {"OMPI_MCA_orte_hnp_uri", "1;tcp://10.0.0.1:1"}});
    EXPECT_THAT(environment, Not(Contains(Key("OMPI_MCA_orte_hnp_uri"))));
    EXPECT_THAT(environment, Not(Contains(Key("OMPI_COMM_WORLD_SIZE"))));
}

TEST(WorkerEnvironment, BindsTrafficAmongRanksToTheInterfaceUnlessItSaysOtherwise) {
    WorkerSpec wide = worker(2);
    wide.interface = "ib0";
    const Environment environment = worker_environment(wide, {{"NCCL_SOCKET_IFNAME", "ib1"}});
    EXPECT_THAT(
        environment,
        AllOf(Contains(Pair("NCCL_SOCKET_IFNAME", "ib1")), Contains(Pair("ORCHESTRATE_INTERFACE", "ib0")),
              Contains(Pair("OMPI_MCA_btl_tcp_if_include", "ib0")),
              Contains(Pair("OMPI_MCA_oob_tcp_if_include", "ib0")), Contains(Pair("HYDRA_IFACE", "ib0"))));
    wide.interface.clear();
    EXPECT_THAT(worker_environment(wide, {}), Not(Contains(Key("NCCL_SOCKET_IFNAME"))));
}

TEST(SrunArguments, AskForExactlyWhatOneWorkerNeeds) {
    const StepOptions options{.slurm_job_id = "12", .mpi_type = "pmix", .memory_mib_per_rank = 1000};
    const std::vector<std::string> wide =
        srun_arguments(worker(3), options, {.hosts = {"n0", "n1"}, .ranks_per_host = 2});
    EXPECT_EQ(wide.front(), "srun");
    for (const char* expected :
         {"--jobid=12", "--job-name=w1", "--exact", "--nodes=2", "--nodelist=n0,n1", "--ntasks=3",
          "--cpus-per-task=4", "--mem=2000M", "--mpi=pmix", "--kill-on-bad-exit=1", "--gres=none"}) {
        EXPECT_THAT(wide, Contains(expected));
    }
    const std::vector<std::string> own = worker_arguments(worker(3));
    EXPECT_TRUE(std::equal(own.begin(), own.end(), wide.end() - static_cast<std::ptrdiff_t>(own.size())));

    WorkerSpec on_gpu = worker(1);
    on_gpu.device = "cuda";
    const std::vector<std::string> narrow =
        srun_arguments(on_gpu, options, {.hosts = {"n1"}, .ranks_per_host = 1});
    EXPECT_THAT(narrow, AllOf(Contains("--mpi=none"), Contains("--gres=gpu:1"), Contains("--mem=1000M")));
    EXPECT_THAT(narrow, Not(Contains("--mpi=pmix")));
}

TEST(MpirunArguments, DependOnTheMpiLibrary) {
    EXPECT_THAT(mpirun_arguments(worker(2), {"/usr/bin/mpirun.openmpi", MpiFamily::open_mpi}),
                AllOf(Contains("--oversubscribe"), Contains("none"), Contains("/opt/orchestrate-worker")));
    EXPECT_THAT(mpirun_arguments(worker(2), {"/usr/bin/mpirun.mpich", MpiFamily::mpich}),
                Not(Contains("--oversubscribe")));
}

TEST(Allocation, PutsNarrowWorkersOnDifferentHostsAndWideOnesOverThem) {
    Allocation allocation("12", {"n0", "n1"}, 1);
    EXPECT_THAT(allocation.take("a", 1).hosts, ElementsAre("n0"));
    EXPECT_THAT(allocation.take("b", 1).hosts, ElementsAre("n1"));
    allocation.give_back("a");
    EXPECT_THAT(allocation.take("c", 1).hosts, ElementsAre("n0"));
    allocation.give_back("b");
    allocation.give_back("c");
    const StepPlace wide = allocation.take("d", 2);
    EXPECT_THAT(wide.hosts, ElementsAre("n0", "n1"));
    EXPECT_EQ(wide.ranks_per_host, 1);
}

TEST(Allocation, KeepsAWorkerOnOneHostIfItHasRoom) {
    Allocation allocation("12", {"n0", "n1", "n2"}, 4);
    const StepPlace place = allocation.take("a", 4);
    EXPECT_THAT(place.hosts, ElementsAre("n0"));
    EXPECT_EQ(place.ranks_per_host, 4);
    const StepPlace over_two = allocation.take("b", 6);
    EXPECT_THAT(over_two.hosts, ElementsAre("n1", "n2"));
    EXPECT_EQ(over_two.ranks_per_host, 4);
}

TEST(Allocation, SpreadsEvenlyWhatIsMoreThanPlanned) {
    Allocation allocation("12", {"n0", "n1"}, 1);
    const StepPlace place = allocation.take("a", 5);
    EXPECT_THAT(place.hosts, ElementsAre("n0", "n1"));
    EXPECT_EQ(place.ranks_per_host, 3);
}

TEST(Allocation, IsReadFromTheEnvironmentOfABatchScript) {
    std::vector<std::string> asked;
    const Environment environment{
        {"SLURM_JOB_ID", "12"}, {"SLURM_JOB_NODELIST", "gpu[07-08]"}, {"SLURM_NTASKS_PER_NODE", "2"}};
    Allocation allocation =
        Allocation::from_environment(environment, [&](const std::vector<std::string>& arguments) {
            asked = arguments;
            return prints("gpu07\ngpu08\n");
        });
    EXPECT_THAT(asked, ElementsAre("scontrol", "show", "hostnames", "gpu[07-08]"));
    EXPECT_EQ(allocation.slurm_job_id(), "12");
    EXPECT_THAT(allocation.take("a", 2).hosts, ElementsAre("gpu07"));
    EXPECT_THAT(allocation.take("b", 2).hosts, ElementsAre("gpu08"));
}

TEST(Allocation, SaysWhatIsMissing) {
    EXPECT_THAT([] { Allocation::from_environment({}, answering(CommandResult{})); },
                ::testing::ThrowsMessage<UserError>(HasSubstr("SLURM_JOB_ID")));
    const Environment environment{{"SLURM_JOB_ID", "12"}, {"SLURM_JOB_NODELIST", "n0"}};
    EXPECT_THAT([&] { Allocation::from_environment(environment, answering(is_missing())); },
                ::testing::ThrowsMessage<UserError>(HasSubstr("no scontrol in PATH")));
    EXPECT_THAT([&] { Allocation::from_environment(environment, answering(fails("bad list"))); },
                ::testing::ThrowsMessage<UserError>(HasSubstr("bad list")));
}

TEST(ShellQuoting, LetsAShellReadBackTheSameWords) {
    for (const std::string text :
         {"plain", "", "two words", "it's", "$HOME `x` \\ \"q\"", "line\nbreak", "-x=*"}) {
        const CommandResult result = run_command({"sh", "-c", "printf %s " + shell_quoted(text)});
        EXPECT_EQ(result.output, text);
    }
}

TEST(RunCommand, ReturnsBothOutputsAndTheExitCode) {
    const CommandResult result = run_command({"sh", "-c", "echo out; echo err >&2; exit 4"});
    EXPECT_TRUE(result.found);
    EXPECT_EQ(result.exit_code, 4);
    EXPECT_EQ(result.output, "out\n");
    EXPECT_EQ(result.errors, "err\n");
    EXPECT_FALSE(run_command({"orchestrate-no-such-program"}).found);
}

TEST(RunCommand, EndsWhatDoesNotEnd) {
    const CommandResult result = run_command({"tail", "-f", "/dev/null"}, std::chrono::milliseconds(1));
    EXPECT_EQ(result.exit_code, 137);
    EXPECT_TRUE(result.timed_out);
}

TEST(RunCommand, KeepsABoundedPartOfWhatNeverStops) {
    const CommandResult result = run_command({"sh", "-c", "yes | head -c 20000000"});
    EXPECT_FALSE(result.timed_out);
    EXPECT_EQ(result.output.size(), kMaxCommandOutput);
}

TEST(RunCommand, SomethingThatHoldsItsOutputOpenDoesNotDelayItsEnd) {
    const CommandResult result =
        run_command({"sh", "-c", "setsid sleep 30 & echo done"}, std::chrono::seconds(20));
    EXPECT_FALSE(result.timed_out);
    EXPECT_EQ(result.output, "done\n");
}

TEST(RunCommand, WhatCannotBeStartedIsAResult) {
    const TemporaryFolder folder;
    const auto file = folder.path() / "not-a-program";
    std::ofstream(file) << "#!/no/such/interpreter\n";
    std::filesystem::permissions(file, std::filesystem::perms::owner_all);
    const CommandResult result = run_command({file.string()});
    EXPECT_TRUE(result.found);
    EXPECT_NE(result.exit_code, 0);
}

TEST(StartCommand, IsPolledWithoutWaiting) {
    const auto running = start_command({"tail", "-f", "/dev/null"}, std::chrono::hours(1));
    EXPECT_EQ(running->poll(), std::nullopt);  // and it is killed with its handle
}

TEST(SrunOutput, TheTaskThatFailedFirstTells) {
    EXPECT_EQ(
        first_task_exit_code("1: this is a rank\n"
                             "srun: error: n0: task 0: Exited with exit code 71\n"
                             "srun: Terminating StepId=3.0\n"
                             "slurmstepd-n1: error: *** STEP 3.0 ON n0 CANCELLED AT 2026-11-30T10:00:00 ***\n"
                             "srun: error: n1: task 1: Killed\n"),
        71);
    EXPECT_EQ(first_task_exit_code("srun: error: n1: task 1: Killed\n"
                                   "srun: error: n0: task 0: Exited with exit code 71\n"),
              std::nullopt);
    EXPECT_EQ(first_task_exit_code("srun: error: n[0-1]: tasks 0-1: Exited with exit code 2\n"), 2);
    EXPECT_EQ(first_task_exit_code("0: srun: error: n0: task 0: Exited with exit code 71\n"), std::nullopt);
    EXPECT_EQ(first_task_exit_code("srun: error: Unable to create step: Job/step already completing\n"),
              std::nullopt);
    EXPECT_EQ(first_task_exit_code("srun: error: n0: task 0: Exited with exit code \xff"), std::nullopt);
    EXPECT_EQ(first_task_exit_code(""), std::nullopt);
}

TEST(SrunOutput, SlurmsWordForTheEndOfAStep) {
    // scancel JOB.STEP, as Slurm 22.05 writes it.
    EXPECT_EQ(step_state("slurmstepd-n0: error: *** STEP 1.0 ON n0 CANCELLED AT 2026-12-01T02:49:29 ***\n"
                         "srun: Job step aborted: Waiting up to 7 seconds for job step to finish.\n"
                         "srun: error: n0: task 0: Killed\n"),
              "CANCELLED");
    EXPECT_EQ(step_state("0: output of a rank\n"
                         "0: slurmstepd: error: *** STEP 1.0 ON n0 CANCELLED AT 2026-12-01T02:49:29 ***\n"),
              "CANCELLED");
    const auto due_to = [](const std::string& reason) {
        return "slurmstepd: error: *** STEP 1.0 ON n0 CANCELLED AT 2026-12-01T02:49:29 DUE TO " + reason +
               " ***";
    };
    EXPECT_EQ(step_state(due_to("TIME LIMIT")), "TIMEOUT");
    EXPECT_EQ(step_state(due_to("PREEMPTION")), "PREEMPTED");
    EXPECT_EQ(step_state(due_to("NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS")), "NODE_FAIL");
    // srun itself ends a step of which a task has failed.
    EXPECT_EQ(step_state("srun: error: n0: task 1: Killed\n"
                         "srun: launch/slurm: _step_signal: Terminating StepId=1.3\n"
                         "slurmstepd-n0: error: *** STEP 1.3 ON n0 CANCELLED AT 2026-12-01T02:49:33 ***\n"
                         "srun: error: n0: task 0: Terminated\n"),
              "");
    EXPECT_EQ(step_state("srun: error: n0: task 0: Killed\nsrun: Force Terminated StepId=1.1\n"), "");
    EXPECT_EQ(
        step_state("*** STEP 1.0 ON n0 CANCELLED AT noon ***\nslurmstepd: CANCELLED AT error: *** STEP "),
        "");
    EXPECT_EQ(step_state("\n: "), "");
    EXPECT_EQ(step_state(""), "");
}

}  // namespace
}  // namespace orchestrate
