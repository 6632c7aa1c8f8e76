#include "coordinator/server/control.h"

#include <algorithm>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/error.h"
#include "results/schema.h"
#include "tests/coordinator/simulation/small_life.h"

namespace orchestrate {
namespace {

using test::variant_of;
using testing::ElementsAre;
using testing::HasSubstr;

SQLite::Database empty_database() {
    SQLite::Database database(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    prepare_schema(database);
    return database;
}

// Changes jobs in the store alone, and remembers what it was asked of studies.
class RecordingHost final : public ControlHost {
  public:
    JobStore& store() override { return store_; }
    bool is_active(const std::string& study) const override { return active.contains(study); }
    bool cancel_job(JobId job) override { return store_.cancel(job); }
    bool ask_again(JobId job) override { return store_.ask_again(job); }
    void study_cancelled(const StoredStudy& study) override {
        store_.set_study_state(study.row, StudyState::cancelled);
    }
    void set_paused(const StoredStudy& study, bool paused) override {
        store_.set_study_paused(study.row, paused);
    }
    boost::asio::awaitable<void> go_on(StoredStudy study) override {
        gone_on.push_back(study.name);
        co_return;
    }
    boost::asio::awaitable<bool> others_go_first(const StoredStudy& /*study*/) override {
        ++slices;
        max_changes = std::max(max_changes, store_.pending_changes());
        max_instructions = std::max(max_instructions, store_.instructions() - instructions);
        store_.commit();
        instructions = store_.instructions();
        co_return !begun_anew;
    }
    std::string how_it_goes_on(const std::string& /*study*/) const override { return ""; }
    bool drain(const std::string& worker, std::vector<std::string>& workers) override {
        workers = {"local-1", "local-2"};
        return worker == "local-1";
    }

    std::set<std::string> active;
    std::vector<std::string> gone_on;
    bool begun_anew = false;
    int slices = 0;
    std::size_t max_changes = 0;        // of a slice
    std::int64_t max_instructions = 0;  // of SQLite, the same
    std::int64_t instructions = 0;

  private:
    JobStore store_{empty_database(), {.grouped = true, .vfs = {}, .network_file_system = {}, .sync = true}};
};

class ControlTest : public testing::Test {
  protected:
    ControlTest() {
        first_ = add_study("first", {variant_of("baseline", 8, {1, 2}), variant_of("wide", 16, {1})});
        second_ = add_study("second", {variant_of("baseline", 8, {1, 2}), variant_of("wider", 32, {1})});
        host_.active = {"first", "second"};
    }

    StudyId add_study(const std::string& name, const std::vector<Variant>& variants) {
        Study study;
        study.name = name;
        study.file = "/" + name + ".toml";
        Stage stage;
        stage.name = "ablation";
        study.stages = {stage};
        const StudyId row = host_.store().begin_study(study);
        host_.store().sync_stage(row, 0, stage, variants, {});
        return row;
    }

    std::string done(Control control, const std::string& target) {
        return apply_control(host_, {control, target});
    }
    std::string refusal(Control control, const std::string& target) {
        try {
            return "done: " + done(control, target);
        } catch (const UserError& error) {
            return error.what();
        }
    }
    std::string state_of(JobId job) {
        return host_.store().read([&](SQLite::Database& database) {
            return database.execAndGet("SELECT state FROM jobs WHERE id = " + to_string(job)).getString();
        });
    }

    RecordingHost host_;
    StudyId first_;
    StudyId second_;
};

TEST_F(ControlTest, ACancelledStudyLeavesTheJobsThatOthersNeed) {
    EXPECT_EQ(done(Control::cancel, "first"), "cancelled study first: 1 job; 2 go on for other studies");
    EXPECT_EQ(state_of(JobId(1)), "waiting");
    EXPECT_EQ(state_of(JobId(3)), "cancelled");
    // Now they are the second study's alone.
    host_.active.erase("first");
    EXPECT_EQ(done(Control::cancel, "second"), "cancelled study second: 3 jobs");
    EXPECT_EQ(state_of(JobId(1)), "cancelled");
    EXPECT_THAT(refusal(Control::cancel, "second"), HasSubstr("has ended as cancelled already"));
}

// A study of 100,000 jobs does not hold the coordinator's loop.
TEST_F(ControlTest, TheJobsOfALargeStudyAreChangedInSlices) {
    std::vector<Variant> variants = {variant_of("one of many seeds", 1, {})};
    for (int seed = 0; seed < 2000; ++seed) {
        variants[0].runs.push_back({{static_cast<std::uint64_t>(seed), 0}, 0, 0, seed});
    }
    for (int i = 0; i < 2000; ++i) {
        variants.push_back(variant_of("wide " + std::to_string(i), 100 + i, {1}));
    }
    add_study("large", variants);
    host_.active.insert("large");
    for (const Control control : {Control::cancel, Control::retry}) {
        host_.slices = 0;
        host_.max_changes = 0;
        host_.max_instructions = 0;
        host_.instructions = host_.store().instructions();
        EXPECT_THAT(done(control, "large"), HasSubstr("4000 jobs"));
        EXPECT_GE(host_.slices, 16);
        EXPECT_LE(host_.max_changes, 500U);
        EXPECT_LE(host_.max_instructions, 100'000);
    }
    host_.begun_anew = true;
    EXPECT_EQ(done(Control::cancel, "large"), "cancelled study large: 0 jobs; it was begun anew meanwhile");
}

TEST_F(ControlTest, OnlyWhatHasEndedWithoutAResultIsTriedAgain) {
    EXPECT_THAT(refusal(Control::retry, "1"), HasSubstr("only what has failed"));
    done(Control::cancel, "1");
    EXPECT_THAT(refusal(Control::cancel, "1"), HasSubstr("ended as cancelled"));
    EXPECT_EQ(done(Control::retry, "1"), "job 1 waits again");
    EXPECT_EQ(state_of(JobId(1)), "waiting");
    EXPECT_TRUE(host_.gone_on.empty());
    EXPECT_THAT(refusal(Control::retry, "first"), HasSubstr("no job of study 'first'"));
    const auto begun = host_.store().begin_attempt(JobId(2), {}, "/logs");
    host_.store().end_attempt({begun.id, Cause::diverged, "the loss is not finite", {}});
    EXPECT_THAT(done(Control::retry, "second"), HasSubstr("1 job of study second waits again"));
}

TEST_F(ControlTest, RetryLetsAStudyGoOnThatDoesNotRun) {
    done(Control::cancel, "3");
    host_.active.clear();
    done(Control::retry, "3");
    EXPECT_THAT(host_.gone_on, ElementsAre("first"));
}

TEST_F(ControlTest, PauseAndResumeSayWhenThereIsNothingToDo) {
    EXPECT_THAT(done(Control::pause, "first"), HasSubstr("nothing new of it begins"));
    EXPECT_THAT(refusal(Control::pause, "first"), HasSubstr("paused already"));
    EXPECT_EQ(done(Control::resume, "first"), "study first goes on");
    EXPECT_THAT(refusal(Control::resume, "first"), HasSubstr("running and not paused"));
    host_.store().set_study_state(first_, StudyState::finished);
    host_.active.erase("first");
    EXPECT_THAT(refusal(Control::pause, "first"), HasSubstr("has ended as finished"));
    EXPECT_THAT(refusal(Control::resume, "first"), HasSubstr("orchestrate retry first"));
}

TEST_F(ControlTest, ResumeWithoutANameTakesAllThatAreUnfinished) {
    EXPECT_EQ(done(Control::resume, ""), "no study is paused or unfinished");
    host_.active.clear();
    host_.store().set_study_state(second_, StudyState::interrupted);
    done(Control::resume, "");
    EXPECT_THAT(host_.gone_on, ElementsAre("first", "second"));
}

TEST_F(ControlTest, TheMistypedAreHelped) {
    EXPECT_THAT(refusal(Control::cancel, "secnd"), HasSubstr("did you mean 'second'?"));
    EXPECT_THAT(refusal(Control::pause, "thrid"), HasSubstr("Studies are: second, first"));
    EXPECT_THAT(refusal(Control::cancel, "99"), HasSubstr("jobs go from 1 to 4"));
    EXPECT_THAT(refusal(Control::drain, "locl-2"), HasSubstr("did you mean 'local-2'?"));
    EXPECT_THAT(done(Control::drain, "local-1"), HasSubstr("its place stays empty"));
}

}  // namespace
}  // namespace orchestrate
