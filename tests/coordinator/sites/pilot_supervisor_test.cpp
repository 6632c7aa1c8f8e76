// What keeps a pilot alive, with this test in the place of Slurm and of the clock.
#include "coordinator/sites/pilot_supervisor.h"

#include <algorithm>
#include <fstream>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/null_sink.h>

#include "common/base/error.h"
#include "common/base/printable.h"
#include "common/base/temporary_folder.h"
#include "common/protocol/access_file.h"

namespace orchestrate {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using ::testing::ThrowsMessage;

CommandResult prints(std::string output) {
    CommandResult result;
    result.output = std::move(output);
    return result;
}

CommandResult fails(std::string errors) {
    CommandResult result;
    result.exit_code = 1;
    result.errors = std::move(errors);
    return result;
}

CommandResult times_out() {
    CommandResult result;
    result.timed_out = true;
    result.exit_code = 137;
    return result;
}

const std::string kNoContact =
    "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n";

// A Slurm whose commands answer by the test's word, or hang for as long as commands may.
class FakeSlurm {
  public:
    using Time = std::chrono::steady_clock::time_point;

    Time now{};
    std::map<std::string, CommandResult> answers;  // by program; none: it hangs until its time is over
    std::vector<std::vector<std::string>> asked;
    std::vector<std::string> notes;
    int running = 0;
    int max_running = 0;

    SlurmEnvironment environment() {
        return {[this](const auto& arguments) { return start(arguments); }, [this] { return now; },
                [this](const std::string& line) { notes.push_back(line); }};
    }

    int times_asked(const std::string& program) const {
        return static_cast<int>(std::count_if(asked.begin(), asked.end(),
                                              [&](const auto& command) { return command[0] == program; }));
    }

  private:
    class Command final : public PendingCommand {
      public:
        Command(FakeSlurm& slurm, std::string program)
            : slurm_(slurm), program_(std::move(program)), ends_at_(slurm.now + kCommandTimeout) {
            slurm_.max_running = std::max(slurm_.max_running, ++slurm_.running);
        }
        ~Command() override { --slurm_.running; }
        std::optional<CommandResult> poll() override {
            if (const auto found = slurm_.answers.find(program_); found != slurm_.answers.end()) {
                return found->second;
            }
            return slurm_.now >= ends_at_ ? std::optional(times_out()) : std::nullopt;
        }

      private:
        FakeSlurm& slurm_;
        std::string program_;
        Time ends_at_;
    };

    std::unique_ptr<PendingCommand> start(const std::vector<std::string>& arguments) {
        asked.push_back(arguments);
        return std::make_unique<Command>(*this, arguments.front());
    }
};

class SlurmSitesTest : public ::testing::Test {
  protected:
    SlurmSitesTest() {
        cluster_.kind = ClusterKind::slurm;
        cluster_.slots = 1;
        slurm_.answers["sbatch"] = prints("42\n");
        slurm_.answers["squeue"] = prints("RUNNING|None\n");
        slurm_.answers["scancel"] = prints("");
        sites_ = std::make_unique<PilotSupervisor>(
            cluster_, folder_.path(), folder_.path() / "access.json",
            std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::null_sink_st>()), 4000ms,
            slurm_.environment());
    }

    // As the coordinator does: several times a second.
    void live(std::chrono::milliseconds time, bool work_is_left = true) {
        for (auto left = time; left > 0ms; left -= 200ms) {
            slurm_.now += 200ms;
            sites_->tick(work_is_left);
        }
    }

    void submitted(const std::string& job = "42") {
        slurm_.answers["sbatch"] = prints(job + "\n");
        sites_->begin();
        live(200ms);
        sites_->pilot_connected("slurm-" + job);
    }

    std::chrono::milliseconds end() {
        const auto begin = slurm_.now;
        sites_->end();
        while (!sites_->finish()) {
            slurm_.now += 20ms;
        }
        return std::chrono::duration_cast<std::chrono::milliseconds>(slurm_.now - begin);
    }

    ClusterConfig cluster_;
    TemporaryFolder folder_;
    FakeSlurm slurm_;
    std::unique_ptr<PilotSupervisor> sites_;
};

TEST_F(SlurmSitesTest, KeepsOnePilotUntilItsEnd) {
    submitted();
    live(60s);
    EXPECT_EQ(slurm_.times_asked("sbatch"), 1);
    EXPECT_GT(slurm_.times_asked("squeue"), 15);
    EXPECT_EQ(sites_->end_of("slurm-42"), "");

    slurm_.answers["squeue"] = prints("TIMEOUT|TimeLimit\n");
    slurm_.answers["sbatch"] = prints("43\n");
    sites_->pilot_disconnected("slurm-42");
    live(1s);
    EXPECT_EQ(sites_->end_of("slurm-42"), "TIMEOUT");
    EXPECT_EQ(slurm_.times_asked("sbatch"), 2);
    EXPECT_THAT(slurm_.notes, Contains(HasSubstr("as Slurm job 43")));
    EXPECT_EQ(slurm_.max_running, 1);
}

TEST_F(SlurmSitesTest, NoPilotIsSubmittedWhenNoWorkIsLeft) {
    submitted();
    sites_->pilot_disconnected("slurm-42");
    slurm_.answers["squeue"] = prints("COMPLETED|None\n");
    live(60s, false);
    EXPECT_EQ(slurm_.times_asked("sbatch"), 1);
    slurm_.answers["squeue"] = prints("RUNNING|None\n");
    live(10s);  // another study
    EXPECT_EQ(slurm_.times_asked("sbatch"), 2);
}

TEST_F(SlurmSitesTest, AQueueThatHangsIsAskedLessAndLessOftenAndChangesNothing) {
    submitted();
    slurm_.answers.erase("squeue");
    const auto before = slurm_.times_asked("squeue");
    live(600s);
    EXPECT_LE(slurm_.times_asked("squeue") - before, 14);  // 10 s each, then 3, 6, 12, 24, 48, 60, 60 s
    EXPECT_EQ(slurm_.times_asked("sbatch"), 1);
    EXPECT_EQ(sites_->end_of("slurm-42"), "");
    EXPECT_EQ(std::count_if(slurm_.notes.begin(), slurm_.notes.end(),
                            [](const auto& note) { return note.find("is not known") != std::string::npos; }),
              1);

    slurm_.answers["squeue"] = prints("RUNNING|None\n");
    live(61s);
    EXPECT_THAT(slurm_.notes, Contains("Slurm answers again"));
    const auto recovered = slurm_.times_asked("squeue");
    live(30s);
    EXPECT_GE(slurm_.times_asked("squeue") - recovered, 8);
}

TEST_F(SlurmSitesTest, NonsenseIsNoEnd) {
    submitted();
    sites_->pilot_disconnected("slurm-42");
    for (const CommandResult& nonsense : {prints("\x1b[2J\xff|\n"), prints("COMPLETED or not"),
                                          fails(kNoContact), fails("command not found")}) {
        slurm_.answers["squeue"] = nonsense;
        live(200s);
        EXPECT_EQ(slurm_.times_asked("sbatch"), 1);
        EXPECT_EQ(sites_->end_of("slurm-42"), "");
    }
    slurm_.answers["squeue"] = fails("slurm_load_jobs error: Invalid job id specified\n");
    slurm_.answers["scontrol"] = fails(kNoContact);
    live(200s);
    EXPECT_EQ(slurm_.times_asked("sbatch"), 1);
    for (const auto& note : slurm_.notes) {
        EXPECT_EQ(printable(note), note);
    }
}

TEST_F(SlurmSitesTest, APilotThatIsConnectedIsNotReplacedOnSlurmsWord) {
    submitted();
    slurm_.answers["squeue"] = prints("NODE_FAIL|None\n");
    live(30s);
    EXPECT_EQ(slurm_.times_asked("sbatch"), 1);
    EXPECT_EQ(sites_->end_of("slurm-42"), "NODE_FAIL");
    live(60s);  // a connection that nobody has closed
    EXPECT_EQ(slurm_.times_asked("sbatch"), 2);
}

TEST_F(SlurmSitesTest, ARefusalEndsTheFirstSubmission) {
    slurm_.answers["sbatch"] = fails("sbatch: error: invalid partition specified: gqu\n");
    sites_->begin();
    EXPECT_THAT([&] { live(1s); },
                ThrowsMessage<UserError>(::testing::AllOf(HasSubstr("invalid partition specified: gqu"),
                                                          HasSubstr(".sbatch"), HasSubstr("sinfo"))));
}

TEST_F(SlurmSitesTest, AMissingSbatchIsSaid) {
    slurm_.answers["sbatch"].found = false;
    sites_->begin();
    EXPECT_THAT([&] { live(1s); }, ThrowsMessage<UserError>(HasSubstr("no sbatch in PATH")));
}

TEST_F(SlurmSitesTest, AnOptionOfTwoLinesIsRefusedAtOnce) {
    cluster_.sbatch_options = {"--comment=a\nrm -rf b"};
    PilotSupervisor sites(
        cluster_, folder_.path(), folder_.path() / "access.json",
        std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::null_sink_st>()), 4000ms,
        slurm_.environment());
    EXPECT_THAT([&] { sites.begin(); }, ThrowsMessage<UserError>(HasSubstr("one line")));
}

TEST_F(SlurmSitesTest, AResubmissionThatFailsIsTriedAgain) {
    submitted();
    sites_->pilot_disconnected("slurm-42");
    slurm_.answers["squeue"] = prints("CANCELLED|None\n");
    slurm_.answers["sbatch"] =
        fails("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation\n");
    live(3s);
    slurm_.answers["squeue"] = prints("");  // of that name there is none
    live(100s);
    EXPECT_GT(slurm_.times_asked("sbatch"), 2);
    EXPECT_LT(slurm_.times_asked("sbatch"), 12);
    slurm_.answers["sbatch"] = prints("43\n");
    live(61s);
    EXPECT_THAT(slurm_.notes, Contains(HasSubstr("as Slurm job 43")));
}

TEST_F(SlurmSitesTest, RefusedResubmissionsEndTheRunInTheEnd) {
    submitted();
    sites_->pilot_disconnected("slurm-42");
    slurm_.answers["squeue"] = prints("CANCELLED|None\n");
    slurm_.answers["sbatch"] = fails("sbatch: error: invalid partition specified: gone\n");
    EXPECT_THAT([&] { live(600s); }, ThrowsMessage<UserError>(HasSubstr("gone")));
    EXPECT_EQ(slurm_.times_asked("sbatch"), 1 + PilotSupervisor::kMaximumRefusals);
}

TEST_F(SlurmSitesTest, ASubmissionWithoutAnAnswerIsLookedForBeforeItIsRepeated) {
    slurm_.answers.erase("sbatch");
    slurm_.answers["squeue"] = fails(kNoContact);
    sites_->begin();
    live(100s);
    EXPECT_EQ(slurm_.times_asked("sbatch"), 1);  // it may exist
    slurm_.answers["squeue"] = prints("77\n");
    slurm_.asked.clear();
    live(61s);
    EXPECT_EQ(slurm_.times_asked("sbatch"), 0);
    EXPECT_THAT(slurm_.notes, Contains(HasSubstr("as Slurm job 77")));
    EXPECT_THAT(slurm_.asked.front().at(2), StartsWith("--name=pilot-"));
}

TEST_F(SlurmSitesTest, PilotsThatEndWithoutConnectingEndTheRun) {
    slurm_.answers["squeue"] = prints("FAILED|NonZeroExitCode\n");
    sites_->begin();
    EXPECT_THAT([&] { live(60s); }, ThrowsMessage<UserError>(HasSubstr("without connecting")));
    EXPECT_EQ(slurm_.times_asked("sbatch"), PilotSupervisor::kMaximumIdlePilots);
}

TEST_F(SlurmSitesTest, OnlyItsOwnPilotCounts) {
    slurm_.answers["squeue"] = prints("FAILED|NonZeroExitCode\n");
    sites_->pilot_connected("slurm-7");  // of an earlier coordinator
    sites_->begin();
    EXPECT_THAT([&] { live(60s); }, ThrowsMessage<UserError>(HasSubstr("without connecting")));
}

TEST_F(SlurmSitesTest, APilotThatConnectsBeforeSbatchAnswersCounts) {
    slurm_.answers.erase("sbatch");
    sites_->begin();
    sites_->pilot_connected("slurm-42");
    slurm_.answers["sbatch"] = prints("42\n");
    slurm_.answers["squeue"] = prints("FAILED|NonZeroExitCode\n");
    live(200ms);
    sites_->pilot_disconnected("slurm-42");
    slurm_.answers["sbatch"] = prints("43\n");
    live(4s);
    EXPECT_THAT(slurm_.notes, Contains(HasSubstr("as Slurm job 43")));
}

TEST_F(SlurmSitesTest, ADiskThatCannotTakeTheScriptIsWaitedFor) {
    std::filesystem::remove_all(folder_.path() / "logs");
    std::ofstream(folder_.path() / "logs") << "no directory";
    sites_->begin();
    live(20s);
    EXPECT_THAT(slurm_.asked, IsEmpty());
    EXPECT_THAT(slurm_.notes, Not(IsEmpty()));
    std::filesystem::remove(folder_.path() / "logs");
    live(61s);
    EXPECT_THAT(slurm_.notes, Contains(HasSubstr("as Slurm job 42")));
}

// A coordinator that was killed leaves its pilot.
class EarlierPilotTest : public SlurmSitesTest {
  protected:
    EarlierPilotTest() {
        std::filesystem::permissions(folder_.path(), std::filesystem::perms::owner_all);
        name_database("this");
        submitted();
        name_ = slurm_.asked.front().at(2);  // sbatch --parsable .../pilot-1-2.sbatch
        name_ = std::filesystem::path(name_).stem().string();
        slurm_.asked.clear();
        slurm_.notes.clear();
        slurm_.answers["squeue"] = prints("42\n");
        slurm_.answers["sbatch"] = prints("43\n");
    }
    void name_database(const std::string& id) const {
        Access access;
        access.addresses = {"localhost"};
        access.port = 1;
        access.certificate_fingerprint = std::string(64, 'a');
        access.token = std::string(64, 'b');
        access.database_id = id;
        write_access_file(folder_.path() / "access.json", access);
    }
    // Another coordinator of the same database.
    void begin_again() {
        sites_ = std::make_unique<PilotSupervisor>(
            cluster_, folder_.path(), folder_.path() / "access.json",
            std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::null_sink_st>()), 4000ms,
            slurm_.environment());
        sites_->begin();
        live(1s);
    }
    std::string name_;
};

TEST_F(EarlierPilotTest, IsTakenOver) {
    begin_again();
    EXPECT_THAT(slurm_.asked.front(), Contains("--name=" + name_));
    EXPECT_THAT(slurm_.notes, ElementsAre(HasSubstr("continues with pilot " + name_)));
    EXPECT_EQ(slurm_.times_asked("sbatch"), 0);
    slurm_.answers["squeue"] = prints("RUNNING|None\n");
    live(10s);
    EXPECT_EQ(slurm_.times_asked("sbatch"), 0);
    end();
    EXPECT_THAT(slurm_.asked.back(), ElementsAre("scancel", "42"));
}

TEST_F(EarlierPilotTest, ThatHasEndedIsReplaced) {
    slurm_.answers["squeue"] = prints("");
    begin_again();
    EXPECT_THAT(slurm_.notes, ElementsAre(HasSubstr("as Slurm job 43")));
    EXPECT_EQ(slurm_.times_asked("scancel"), 0);
}

TEST_F(EarlierPilotTest, OfAnotherRequestIsCancelled) {
    cluster_.nodes = 7;
    begin_again();
    EXPECT_THAT(slurm_.asked, Contains(ElementsAre("scancel", "--name=" + name_)));
    EXPECT_THAT(slurm_.notes, ElementsAre(HasSubstr("does not ask for what"), HasSubstr("as Slurm job 43")));
}

TEST_F(EarlierPilotTest, IsWaitedForWhileSlurmDoesNotAnswer) {
    slurm_.answers["squeue"] = fails(kNoContact);
    begin_again();
    live(100s);
    EXPECT_EQ(slurm_.times_asked("sbatch"), 0);
    slurm_.answers["squeue"] = prints("42\n");
    live(61s);
    EXPECT_THAT(slurm_.notes, Contains(HasSubstr("continues with pilot")));
}

TEST_F(EarlierPilotTest, IsCancelledIfTheStudyEndsBeforeSlurmAnswers) {
    slurm_.answers["squeue"] = fails(kNoContact);
    begin_again();
    end();
    EXPECT_THAT(slurm_.asked.back(), ElementsAre("scancel", "--name=" + name_));
}

TEST_F(EarlierPilotTest, OfTheOriginalIsNotTouchedByACopy) {
    name_database("copy");
    begin_again();
    EXPECT_THAT(slurm_.notes, ElementsAre(HasSubstr("as Slurm job 43")));
    EXPECT_EQ(slurm_.times_asked("scancel"), 0);
}

TEST_F(EarlierPilotTest, AFileThatIsDamagedNamesNone) {
    for (const char* text : {"", "{", "[]", R"({"pilot": 7, "database": "this"})",
                             R"({"pilot": "--user=all", "database": "this"})", R"({"pilot": "pilot-1"})"}) {
        std::ofstream(folder_.path() / "pilot.json") << text;
        slurm_.asked.clear();
        begin_again();
        EXPECT_EQ(slurm_.asked.front().front(), "sbatch") << text;
    }
}

TEST_F(SlurmSitesTest, TheEndCancelsThePilot) {
    submitted();
    live(3s);
    EXPECT_LE(end(), 20ms);
    EXPECT_THAT(slurm_.asked.back(), ElementsAre("scancel", "42"));
    EXPECT_EQ(slurm_.max_running, 1);
}

TEST_F(SlurmSitesTest, TheEndDoesNotWaitForAQueueThatHangs) {
    submitted();
    slurm_.answers.erase("squeue");
    live(5s);
    EXPECT_LE(end(), 20ms);
    EXPECT_THAT(slurm_.asked.back(), ElementsAre("scancel", "42"));
}

TEST_F(SlurmSitesTest, TheEndIsBoundedWhenSlurmDoesNotAnswerAndThePilotIsNamed) {
    submitted();
    slurm_.answers.erase("scancel");
    EXPECT_LE(end(), PilotSupervisor::kEndTimeout);
    EXPECT_THAT(slurm_.notes.back(), HasSubstr("scancel 42"));
    EXPECT_EQ(slurm_.running, 0);
    EXPECT_TRUE(sites_->finish());
}

TEST_F(SlurmSitesTest, AScancelThatFailsIsAWarningAtTheEnd) {
    submitted();
    slurm_.answers["scancel"] = fails("scancel: error: Unable to contact slurm controller\n");
    EXPECT_LE(end(), 40ms);
    EXPECT_THAT(slurm_.notes.back(), HasSubstr("scancel 42"));
}

TEST_F(SlurmSitesTest, ASubmissionUnderWayIsCancelledToo) {
    slurm_.answers.erase("sbatch");
    sites_->begin();
    live(2s);
    sites_->end();
    EXPECT_FALSE(sites_->finish());
    slurm_.answers["sbatch"] = prints("42\n");
    end();
    EXPECT_THAT(slurm_.asked.back(), ElementsAre("scancel", "42"));
}

TEST_F(SlurmSitesTest, ASubmissionWithoutAnAnswerIsCancelledByItsName) {
    slurm_.answers.erase("sbatch");
    sites_->begin();
    live(11s);
    EXPECT_LE(end(), 20ms);
    EXPECT_THAT(slurm_.asked.back(), ElementsAre("scancel", StartsWith("--name=pilot-")));
}

}  // namespace
}  // namespace orchestrate
