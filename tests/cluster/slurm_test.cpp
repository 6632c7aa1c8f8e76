// Pilots and steps on a real Slurm of two nodes, raised by slurm-fixture.
#include <fstream>
#include <iterator>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/command.h"
#include "cluster/slurm_pilot.h"
#include "common/base/temporary_folder.h"
#include "event_pipe.h"
#include "slurm_calls.h"

namespace orchestrate {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

constexpr int kSkipped = 77;

CommandResult fixture(const std::string& command) {
    return run_command({ORCHESTRATE_SOURCE_DIR "/tests/cluster/slurm-fixture", command},
                       std::chrono::seconds(60));
}

Submission submit_pilot(const PilotSpec& spec) {
    return orchestrate::submit_pilot(spec, [](const auto& arguments) { return run_command(arguments); });
}

PilotStatus pilot_status(const std::string& job) {
    return orchestrate::pilot_status(job, [](const auto& arguments) { return run_command(arguments); });
}

void cancel_pilot(const std::string& job) {
    EXPECT_EQ(read_cancellation(run_command(cancel_command(job))), "");
}

struct MpiLibrary {
    std::string name;
    std::string srun_type;
    std::filesystem::path probe_worker;
};

class SlurmTest : public ::testing::TestWithParam<MpiLibrary> {
  protected:
    void SetUp() override {
        const CommandResult check = fixture("check");
        if (check.exit_code == kSkipped) {
            GTEST_SKIP() << check.errors;
        }
        const CommandResult up = fixture("up");
        ASSERT_EQ(up.exit_code, 0) << up.errors;
        const std::string configuration = up.output.substr(up.output.find('=') + 1);
        ::setenv("SLURM_CONF", configuration.substr(0, configuration.find('\n')).c_str(), 1);

        // Where the nodes see it: not in /tmp, which they have for themselves.
        const std::filesystem::path share =
            std::filesystem::path(std::getenv("SLURM_CONF")).parent_path() / "share";
        folder_ = std::make_unique<TemporaryFolder>(share);
        events_ = std::make_unique<EventPipe>(folder_->path() / "events");
        std::filesystem::copy_file(PROBE_PILOT, folder_->path() / "probe_pilot");
        std::filesystem::copy_file(GetParam().probe_worker, folder_->path() / "probe_worker");
    }

    void TearDown() override {
        for (const std::string& pilot : submitted_) {
            cancel_pilot(pilot);
            wait_until(pilot, PilotState::ended);
        }
    }

    PilotSpec two_nodes(const std::string& name) {
        PilotSpec spec;
        spec.name = name;
        spec.nodes = 2;
        spec.ranks_per_node = 1;
        spec.memory_mib_per_rank = 500;
        spec.script_folder = folder_->path();
        spec.command = {(folder_->path() / "probe_pilot").string(), folder_->path().string(),
                        GetParam().srun_type};
        return spec;
    }

    std::string submit(const PilotSpec& spec) {
        const Submission submission = submit_pilot(spec);
        EXPECT_EQ(submission.state, Submission::State::accepted) << submission.text;
        submitted_.push_back(submission.job);
        return submission.job;
    }

    // Asks until it is so; each question to Slurm takes a while.
    static bool wait_until(const std::string& pilot, PilotState state) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        while (pilot_status(pilot).state != state) {
            if (std::chrono::steady_clock::now() > deadline) {
                ADD_FAILURE() << "Slurm job " << pilot << " is " << pilot_status(pilot).detail;
                return false;
            }
        }
        return true;
    }

    void tell_pilot(const std::string& command) const {
        EventPipe::write_line(folder_->path() / "commands", command);
    }

    std::vector<std::string> next_lines(int count) {
        std::vector<std::string> lines;
        for (int line = 0; line < count; ++line) {
            lines.push_back(events_->next_line());
        }
        return lines;
    }

    std::string output_of(const std::string& worker) const {
        std::ifstream stream(folder_->path() / (worker + ".out"));
        return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    }

    std::unique_ptr<TemporaryFolder> folder_;
    std::unique_ptr<EventPipe> events_;
    std::vector<std::string> submitted_;
};

std::string host_in(const std::string& line) {
    const std::size_t begin = line.find(" on ") + 4;
    return line.substr(begin, line.find(' ', begin) - begin);
}

TEST_P(SlurmTest, APilotHoldsNarrowWorkersOnItsNodesAndThenAWideOneOverBoth) {
    const std::string pilot = submit(two_nodes("pilot"));
    ASSERT_EQ(events_->next_line(), "pilot ready") << output_of("pilot-" + pilot);
    EXPECT_EQ(pilot_status(pilot).state, PilotState::running);

    tell_pilot("start left 1");
    tell_pilot("start right 1");
    const std::vector<std::string> narrow = next_lines(2);
    EXPECT_THAT(narrow, UnorderedElementsAre(StartsWith("up left 0/1"), StartsWith("up right 0/1")));
    EXPECT_EQ((std::set<std::string>{host_in(narrow[0]), host_in(narrow[1])}),
              (std::set<std::string>{"n0", "n1"}));

    tell_pilot("stop left 60000");
    EXPECT_THAT(next_lines(2), ::testing::ElementsAre("down left 0/1 by 15", "exit left code 0 signal 0"));
    tell_pilot("stop right 60000");
    EXPECT_THAT(next_lines(2), ::testing::ElementsAre("down right 0/1 by 15", "exit right code 0 signal 0"));

    tell_pilot("start wide 2");
    const std::vector<std::string> wide = next_lines(2);
    ASSERT_THAT(wide, UnorderedElementsAre(HasSubstr("up wide 0/2"), HasSubstr("up wide 1/2")))
        << output_of("wide");
    EXPECT_THAT(wide, ::testing::Each(HasSubstr("sum 1 threads 1")));
    EXPECT_NE(host_in(wide[0]), host_in(wide[1]));
    tell_pilot("stop wide 60000");
    EXPECT_THAT(next_lines(2), UnorderedElementsAre("down wide 0/2 by 15", "down wide 1/2 by 15"));
    EXPECT_EQ(events_->next_line(), "exit wide code 0 signal 0") << output_of("wide");
    EXPECT_THAT(output_of("wide"), HasSubstr("this is wide 1/2"));

    cancel_pilot(pilot);
    EXPECT_EQ(events_->next_line(), "pilot down");
    wait_until(pilot, PilotState::ended);
}

// scancel exits with an error for a step that is not on all nodes of its allocation, though it signals it.
TEST_P(SlurmTest, AStepOnOneOfTwoNodesIsGivenItsWholeGrace) {
    submit(two_nodes("pilot"));
    ASSERT_EQ(events_->next_line(), "pilot ready");
    tell_pilot("start slow 1");
    EXPECT_THAT(events_->next_line(), StartsWith("up slow 0/1")) << output_of("slow");
    tell_pilot("stop slow 60000");
    EXPECT_THAT(next_lines(3),
                ::testing::ElementsAre("down slow 0/1 by 15", "saved slow 0/1", "exit slow code 0 signal 0"));
}

TEST_P(SlurmTest, AStepThatDoesNotStopIsKilled) {
    submit(two_nodes("pilot"));
    ASSERT_EQ(events_->next_line(), "pilot ready");
    tell_pilot("start deaf 2");
    EXPECT_THAT(next_lines(2), ::testing::Each(StartsWith("up deaf"))) << output_of("deaf");
    tell_pilot("stop deaf 0");
    EXPECT_THAT(events_->next_line(), ::testing::MatchesRegex("exit deaf code [1-9][0-9]* signal 0"));
}

TEST_P(SlurmTest, CancellingAPilotEndsItsWorkersToo) {
    const std::string pilot = submit(two_nodes("pilot"));
    ASSERT_EQ(events_->next_line(), "pilot ready");
    tell_pilot("start wide 2");
    EXPECT_THAT(next_lines(2), ::testing::Each(StartsWith("up wide"))) << output_of("wide");
    cancel_pilot(pilot);
    EXPECT_THAT(next_lines(3),
                UnorderedElementsAre("pilot down", "down wide 0/2 by 15", "down wide 1/2 by 15"));
    wait_until(pilot, PilotState::ended);
    cancel_pilot(pilot);  // again: harmless
}

TEST_P(SlurmTest, APilotWithoutRoomWaitsAndSaysWhy) {
    PilotSpec all = two_nodes("all");
    all.sbatch_options = {"--exclusive"};
    submit(all);
    ASSERT_EQ(events_->next_line(), "pilot ready");
    const std::string second = submit(two_nodes("second"));
    const PilotStatus status = pilot_status(second);
    EXPECT_EQ(status.state, PilotState::pending) << status.detail;
    EXPECT_THAT(status.detail, StartsWith("PENDING"));
    cancel_pilot(second);
    wait_until(second, PilotState::ended);
}

TEST_P(SlurmTest, ARefusalIsToldInSlurmsWords) {
    PilotSpec wrong = two_nodes("wrong");
    wrong.partition = "gqu";
    const Submission submission = submit_pilot(wrong);
    EXPECT_EQ(submission.state, Submission::State::refused);
    EXPECT_THAT(submission.text, HasSubstr("invalid partition specified: gqu"));
    EXPECT_EQ(pilot_status("999999").state, PilotState::ended);
}

TEST_P(SlurmTest, AStepThatLostARankEndsWhole) {
    submit(two_nodes("pilot"));
    ASSERT_EQ(events_->next_line(), "pilot ready");
    tell_pilot("start dying 2");
    EXPECT_THAT(next_lines(2), ::testing::Each(StartsWith("up dying"))) << output_of("dying");
    std::string line = events_->next_line();
    if (line == "down dying 0/2 by 15") {  // Slurm may let the other one end by itself
        line = events_->next_line();
    }
    EXPECT_THAT(line, ::testing::MatchesRegex("exit dying code [1-9][0-9]* signal 0"));
}

INSTANTIATE_TEST_SUITE_P(Libraries, SlurmTest,
                         ::testing::Values(MpiLibrary{"openmpi", "pmix", PROBE_WORKER_OPENMPI},
                                           MpiLibrary{"mpich", "pmi2", PROBE_WORKER_MPICH}),
                         [](const auto& library) { return library.param.name; });

}  // namespace
}  // namespace orchestrate
