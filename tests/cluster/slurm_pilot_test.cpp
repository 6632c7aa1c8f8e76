// Pilots, with this test in Slurm's place: the script that is submitted, and what is made of Slurm's answers.
#include "cluster/slurm_pilot.h"

#include <fstream>
#include <iterator>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "command_results.h"
#include "common/base/error.h"
#include "common/base/printable.h"
#include "common/base/temporary_folder.h"
#include "slurm_calls.h"

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
    EXPECT_EQ(submit_pilot(with_all, slurm_.runner()).job, "42");

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
    EXPECT_EQ(read_submission(prints("42;east\n")).job, "42");
    EXPECT_EQ(read_submission(prints("Welcome, you have 7 hours left.\n43\n")).job, "43");
}

TEST_F(SlurmPilotTest, ASubmissionThatSlurmRefusesIsToldApartFromOneWithoutAnAnswer) {
    using State = Submission::State;
    for (const char* text :
         {"sbatch: error: invalid partition specified: gqu\nsbatch: error: Batch job submission failed: "
          "Invalid partition "
          "name specified\n",
          "sbatch: error: Batch job submission failed: Requested node configuration is not available\n",
          "sbatch: error: Batch job submission failed: Invalid account or account/partition combination "
          "specified\n"}) {
        EXPECT_EQ(read_submission(fails(text)).state, State::refused) << text;
    }
    for (const char* text :
         {"sbatch: error: Batch job submission failed: Socket timed out on send/recv operation\n",
          "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect "
          "failure)\n",
          "sbatch: error: slurm_receive_msg: Zero Bytes were transmitted or received\n",
          "sbatch: error: Batch job submission failed: Resource temporarily unavailable\n",
          "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, "
          "user's size "
          "and/or time limits)\n"}) {
        EXPECT_EQ(read_submission(fails(text)).state, State::unavailable) << text;
    }
    EXPECT_EQ(read_submission(hangs()).state, State::unavailable);
    EXPECT_EQ(read_submission(prints("accepted\n")).state, State::unavailable);
    EXPECT_EQ(read_submission(prints("\x1b[31m\xff\n")).state, State::unavailable);
    EXPECT_EQ(read_submission(is_missing()).state, State::refused);
    EXPECT_THAT(read_submission(fails("sbatch: error: invalid partition specified: gqu\n")).text,
                HasSubstr("invalid partition specified: gqu"));
}

TEST_F(SlurmPilotTest, FindsThePilotsOfAName) {
    EXPECT_EQ(read_found(prints("")), std::vector<std::string>());
    EXPECT_EQ(read_found(prints("  42\n43\n")), (std::vector<std::string>{"42", "43"}));
    for (const CommandResult& answer :
         {prints("42\nnonsense\n"), fails("squeue: error\n"), hangs(), is_missing()}) {
        EXPECT_EQ(read_found(answer), std::nullopt);
    }
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

TEST_F(SlurmPilotTest, WhatIsNotAnAnswerIsNotAnEnd) {
    const std::string message = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)";
    const PilotStatus status = status_for(fails(message + "\n"));
    EXPECT_EQ(status.state, PilotState::unknown);
    EXPECT_THAT(status.detail, HasSubstr(message));
    const CommandResult gone = fails("slurm_load_jobs error: Invalid job id specified\n");
    for (const CommandResult& nonsense :
         {hangs(), is_missing(), prints("COMPLETED"), prints("COMPLETED or not"),
          prints("\x1b[2J\xff\xfe|\0"), prints("<html>502 Bad Gateway</html>|None\n"), fails(""),
          prints("PENDINGCOMPLETED|None")}) {
        EXPECT_EQ(status_for(nonsense).state, PilotState::unknown) << nonsense.output;
        EXPECT_EQ(status_for(gone, nonsense).state, PilotState::unknown) << nonsense.output;
    }
}

TEST_F(SlurmPilotTest, WhatSlurmSaysIsOnePrintableLine) {
    for (const CommandResult& answer : {prints("PENDING|\x1b[31mred\x07\xff\n"), fails("a\x1b]0;b\nc\x80\n"),
                                        prints("RUNNING|" + std::string(10000, 'x'))}) {
        const std::string detail = status_for(answer).detail;
        EXPECT_LT(detail.size(), 1000U);
        EXPECT_EQ(printable(detail), detail);
    }
}

TEST_F(SlurmPilotTest, CancellingAnEndedPilotIsHarmless) {
    EXPECT_THAT(cancel_command("42"), ElementsAre("scancel", "42"));
    EXPECT_EQ(read_cancellation(prints("")), "");
    EXPECT_EQ(read_cancellation(fails("scancel: error: Invalid job id 42\n")), "");
    EXPECT_EQ(read_cancellation(fails(
                  "scancel: error: Kill job error on job id 42: Job/step already completing or completed\n")),
              "");
    EXPECT_THAT(read_cancellation(fails("scancel: error: Access/permission denied\n")),
                HasSubstr("permission denied"));
    EXPECT_THAT(read_cancellation(hangs()), HasSubstr("no answer"));
    EXPECT_NE(read_cancellation(is_missing()), "");
}

}  // namespace
}  // namespace orchestrate
