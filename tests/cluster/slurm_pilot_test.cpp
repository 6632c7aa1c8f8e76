// Pilots, with this test in Slurm's place: the script that is submitted, and what is made of Slurm's answers.
#include "cluster/slurm_pilot.h"

#include <fstream>
#include <iterator>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "command_results.h"
#include "common/error.h"
#include "common/temporary_folder.h"

namespace orchestrate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::ThrowsMessage;

// Answers by the name of the program and remembers what it was asked.
class ScriptedSlurm {
  public:
    std::map<std::string, CommandResult> answers;
    std::vector<std::vector<std::string>> asked;

    CommandRunner runner() {
        return [this](const std::vector<std::string>& arguments) {
            asked.push_back(arguments);
            return answers.at(arguments.front());
        };
    }
};

class SlurmPilotTest : public ::testing::Test {
  protected:
    PilotSpec spec() {
        PilotSpec spec;
        spec.name = "study-pilot-1";
        spec.nodes = 2;
        spec.ranks_per_node = 3;
        spec.threads_per_rank = 4;
        spec.memory_mib_per_rank = 1000;
        spec.command = {"/opt/orchestrate", "pilot", "--access", "/shared/my study/access"};
        spec.script_folder = folder_.path();
        return spec;
    }
    PilotStatus status_for(CommandResult squeue, CommandResult scontrol = {}) {
        slurm_.answers = {{"squeue", std::move(squeue)}, {"scontrol", std::move(scontrol)}};
        return pilot_status("42", slurm_.runner());
    }

    TemporaryFolder folder_;
    ScriptedSlurm slurm_;
};

TEST_F(SlurmPilotTest, SubmitsAScriptThatAsksForWhatWasPlanned) {
    PilotSpec with_all = spec();
    with_all.gpus_per_node = 3;
    with_all.partition = "gpu";
    with_all.account = "music lab";
    with_all.time_limit = "2:00:00";
    with_all.sbatch_options = {"--constraint=h100"};
    slurm_.answers["sbatch"] = prints("42\n");
    EXPECT_EQ(submit_pilot(with_all, slurm_.runner()), "42");

    const std::filesystem::path file = folder_.path() / "study-pilot-1.sbatch";
    EXPECT_THAT(slurm_.asked, ElementsAre(ElementsAre("sbatch", "--parsable", file.string())));
    std::ifstream stream(file);
    const std::string script((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
    EXPECT_THAT(script, ::testing::StartsWith("#!/bin/bash\n"));
    for (const char* line :
         {"#SBATCH --job-name=study-pilot-1\n", "#SBATCH --nodes=2\n", "#SBATCH --ntasks-per-node=3\n",
          "#SBATCH --cpus-per-task=4\n", "#SBATCH --mem=3256M\n", "#SBATCH --gres=gpu:3\n",
          "#SBATCH --partition=gpu\n", "#SBATCH --account='music lab'\n", "#SBATCH --time=2:00:00\n",
          "#SBATCH --constraint=h100\n", "#SBATCH --no-requeue\n", "#SBATCH --signal=B:TERM@60\n",
          "\nexec /opt/orchestrate pilot --access '/shared/my study/access'\n"}) {
        EXPECT_THAT(script, HasSubstr(line));
    }
}

TEST_F(SlurmPilotTest, AsksForNothingThatWasNotSaid) {
    const std::string script = pilot_script(spec());
    for (const char* option : {"--partition", "--account", "--time", "--gres"}) {
        EXPECT_THAT(script, Not(HasSubstr(option)));
    }
}

TEST_F(SlurmPilotTest, UnderstandsTheJobNumberOfFederationsAndChattyClusters) {
    slurm_.answers["sbatch"] = prints("42;east\n");
    EXPECT_EQ(submit_pilot(spec(), slurm_.runner()), "42");
    slurm_.answers["sbatch"] = prints("Welcome, you have 7 hours left.\n43\n");
    EXPECT_EQ(submit_pilot(spec(), slurm_.runner()), "43");
    slurm_.answers["sbatch"] = prints("accepted\n");
    EXPECT_THAT([&] { submit_pilot(spec(), slurm_.runner()); },
                ThrowsMessage<std::runtime_error>(HasSubstr("accepted")));
}

TEST_F(SlurmPilotTest, SaysWhySlurmCannotOrWillNot) {
    slurm_.answers["sbatch"] = is_missing();
    EXPECT_THAT([&] { submit_pilot(spec(), slurm_.runner()); },
                ThrowsMessage<UserError>(HasSubstr("no sbatch in PATH")));
    slurm_.answers["sbatch"] = fails(
        "sbatch: error: invalid partition specified: gqu\nsbatch: error: Batch job "
        "submission failed: Invalid partition name specified\n");
    EXPECT_THAT(
        [&] { submit_pilot(spec(), slurm_.runner()); },
        ThrowsMessage<UserError>(::testing::AllOf(HasSubstr("invalid partition specified: gqu"),
                                                  HasSubstr("study-pilot-1.sbatch"), HasSubstr("sinfo"))));
}

TEST_F(SlurmPilotTest, RefusesAnOptionThatWouldEndTheHeader) {
    PilotSpec wrong = spec();
    wrong.sbatch_options = {"--comment=a\nrm -rf b"};
    EXPECT_THAT([&] { pilot_script(wrong); }, ThrowsMessage<UserError>(HasSubstr("one line")));
}

TEST_F(SlurmPilotTest, ReadsStatesFromTheQueue) {
    const std::map<std::string, PilotState> expected{
        {"PENDING|Resources", PilotState::pending}, {"CONFIGURING|None", PilotState::pending},
        {"RUNNING|None", PilotState::running},      {"COMPLETING|None", PilotState::running},
        {"COMPLETED|None", PilotState::ended},      {"CANCELLED|None", PilotState::ended},
        {"NODE_FAIL|NodeDown", PilotState::ended},  {"TIMEOUT|TimeLimit", PilotState::ended},
        {"PREEMPTED|None", PilotState::ended},      {"FUTURE_STATE|None", PilotState::unknown}};
    for (const auto& [line, state] : expected) {
        EXPECT_EQ(status_for(prints(line + "\n")).state, state) << line;
    }
    EXPECT_EQ(status_for(prints("PENDING|Resources\n")).detail, "PENDING (Resources)");
    EXPECT_EQ(status_for(prints("RUNNING|None\n")).detail, "RUNNING");
    EXPECT_EQ(slurm_.asked.back().front(), "squeue");
}

TEST_F(SlurmPilotTest, AsksScontrolAboutAJobThatLeftTheQueue) {
    const CommandResult gone = fails("slurm_load_jobs error: Invalid job id specified\n");
    const CommandResult nothing{};
    for (const CommandResult& queue : {gone, nothing}) {
        const PilotStatus status = status_for(
            queue, prints("JobId=42 JobName=study-pilot-1\n   JobState=FAILED Reason=NonZeroExitCode "
                          "Dependency=(null)\n   ExitCode=1:0\n"));
        EXPECT_EQ(status.state, PilotState::ended);
        EXPECT_EQ(status.detail, "FAILED (NonZeroExitCode)");
    }
    const PilotStatus forgotten = status_for(gone, gone);
    EXPECT_EQ(forgotten.state, PilotState::ended);
}

TEST_F(SlurmPilotTest, AControllerThatDoesNotAnswerIsNotAnEnd) {
    const std::string message = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)";
    const PilotStatus status = status_for(fails(message + "\n"));
    EXPECT_EQ(status.state, PilotState::unknown);
    EXPECT_EQ(status.detail, message);
    EXPECT_THAT([&] { status_for(is_missing()); }, ThrowsMessage<UserError>(HasSubstr("no squeue in PATH")));
}

TEST_F(SlurmPilotTest, CancellingAnEndedPilotIsHarmless) {
    slurm_.answers["scancel"] = fails("scancel: error: Invalid job id 42\n");
    cancel_pilot("42", slurm_.runner());
    slurm_.answers["scancel"] =
        fails("scancel: error: Kill job error on job id 42: Job/step already completing or completed\n");
    cancel_pilot("42", slurm_.runner());
    EXPECT_THAT(slurm_.asked.back(), ElementsAre("scancel", "42"));

    slurm_.answers["scancel"] = fails("scancel: error: Access/permission denied\n");
    EXPECT_THAT([&] { cancel_pilot("42", slurm_.runner()); },
                ThrowsMessage<std::runtime_error>(HasSubstr("permission denied")));
    slurm_.answers["scancel"] = is_missing();
    EXPECT_THAT([&] { cancel_pilot("42", slurm_.runner()); },
                ThrowsMessage<UserError>(HasSubstr("no scancel")));
}

}  // namespace
}  // namespace orchestrate
