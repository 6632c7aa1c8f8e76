// What `plan`, `diff` and `run` say of a study that the database knows.
#include "coordinator/stored_study.h"

#include <gmock/gmock.h>

#include "common/error.h"
#include "coordinator/plan_report.h"
#include "coordinator/read_database.h"
#include "study_files.h"

namespace orchestrate::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kStudy = kDataSection + R"([study]
name = "mine"
seeds = 3
[[ablation]]
leave_one_out = ["energy", "tempo"]
)";

class StoredStudy : public ::testing::Test {
  protected:
    std::filesystem::path file() const { return folder_.path() / "results.db"; }

    // Runs every job of the study's stages, `seconds` each; macro F1 falls by variant and varies by seed.
    void run(const Study& study, double seconds = 60) {
        JobStore store(file());
        const auto row = store.begin_study(study);
        const WorkerRecord worker{0, "here-1", "host", 1, 1, "cpu", "/logs/here-1.log"};
        JobConfig baseline = study.base;
        for (std::size_t i = 0; i < study.stages.size(); ++i) {
            const auto variants = study.expand(study.stages[i], baseline);
            double f1 = 0.6;
            for (const auto& job :
                 store.sync_stage(row, static_cast<int>(i), study.stages[i], variants, study.paths)) {
                f1 += job.id % 2 == 0 ? 0.02 : -0.03;
                if (job.state == JobState::succeeded) {
                    continue;
                }
                AttemptEnded ended;
                ended.attempt = store.begin_attempt(job.id, worker, "/logs").id;
                ended.cause = Cause::succeeded;
                ended.result.emplace();
                ended.result->classes = {"funk", "punk"};
                ended.result->test.macro_f1 = f1;
                ended.result->validation.macro_f1 = f1;
                ended.result->total_seconds = seconds;
                ended.result->ranks = 1;
                ended.result->device_class = "cpu avx2";
                ended.result->data.data_sha256 = study.base.data.sha256;
                ASSERT_TRUE(store.end_attempt(ended));
            }
            if (study.stages[i].kind == StageKind::search) {
                baseline = variants.back().config;
            }
        }
        store.set_study_state(row, StudyState::finished);
    }

    std::string report(const Study& study, PlanArguments arguments = {}) {
        arguments.database = file();
        arguments.workers = 2;
        return plan_report(study, arguments);
    }

    StudyFolder folder_;
};

TEST_F(StoredStudy, WithoutADatabaseThePlanSaysWhatItDoesNotKnow) {
    EXPECT_THAT(report(folder_.load(kStudy)),
                AllOf(HasSubstr("cost: unknown"), HasSubstr("unknown before seeds have been run")));
    EXPECT_FALSE(std::filesystem::exists(file())) << "reading makes no database";
}

TEST_F(StoredStudy, AnUnchangedStudyIsDone) {
    const auto study = folder_.load(kStudy);
    run(study);
    EXPECT_EQ(difference_to_last_run(study, file()), "");
    EXPECT_THAT(report(study),
                AllOf(HasSubstr("9 jobs done already"), HasSubstr("; 0 to run"), Not(HasSubstr("cost"))));
}

TEST_F(StoredStudy, AnEditIsShownVariantByVariantAndItsCostEstimated) {
    run(folder_.load(kStudy), 3600);
    const auto edited = folder_.load(kStudy + "[[ablation]]\nadd = \"explicit\"\n", {"study.seeds=4"});
    EXPECT_THAT(difference_to_last_run(edited, file()),
                AllOf(HasSubstr("since the last run of this study:\n"),
                      HasSubstr("~ changed   ablation: without energy: other seeds"),
                      HasSubstr("+ new       ablation: with explicit (4 new jobs)"),
                      HasSubstr("1 variant new, 3 changed, 0 gone, 0 unchanged; 7 jobs to run")));
    EXPECT_THAT(report(edited),
                AllOf(HasSubstr("9 jobs done already"), HasSubstr("7 to run"), HasSubstr("of cpu avx2;"),
                      HasSubstr("3 estimated from the same"), HasSubstr("4 scaled from others")));
}

TEST_F(StoredStudy, ChangedDataIsNamed) {
    run(folder_.load(kStudy));
    std::ofstream(folder_.path() / "tracks.csv", std::ios::app) << "id99,funk,0.5,90,0.4,1000,True\n";
    EXPECT_THAT(difference_to_last_run(folder_.load(kStudy), file()),
                HasSubstr("everywhere: the content of the data file"));
}

TEST_F(StoredStudy, AFinishedSearchGivesTheAblationsTheirBaseline) {
    const std::string toml =
        kStudy + "[search]\ntrials = 2\nseed = 3\n[search.space]\ntrain.epochs = [7, 9, 11, 13]\n";
    run(folder_.load(toml));
    EXPECT_EQ(difference_to_last_run(folder_.load(toml), file()), "");
    EXPECT_THAT(report(folder_.load(toml)), HasSubstr("; 0 to run"));
    const auto wider = folder_.load(toml, {"search.trials=3"});
    EXPECT_THAT(difference_to_last_run(wider, file()), HasSubstr("+ new       search: trial 3"));
}

TEST_F(StoredStudy, TheSpreadSeenSaysWhichDifferencesCanBeFound) {
    const auto study = folder_.load(kStudy);
    run(study);
    auto database = open_to_read(file());
    const auto spread = difference_spread(database, study);
    ASSERT_TRUE(spread);
    EXPECT_GT(spread->deviation, 0);
    EXPECT_EQ(spread->basis, "6 differences of 2 variants of this study");
    const auto other = folder_.load(kStudy, {"study.name=other", "train.epochs=5"});
    ASSERT_TRUE(difference_spread(database, other));
    EXPECT_THAT(difference_spread(database, other)->basis, HasSubstr("on the same data"));
}

TEST_F(StoredStudy, AGivenSpreadIsTaken) {
    PlanArguments arguments;
    arguments.spread = 1.5;
    arguments.difference = 1.5;
    // 3 pairs find 3.264 standard deviations, one standard deviation needs 10 (see results/power_test.cpp).
    EXPECT_THAT(report(folder_.load(kStudy), arguments),
                AllOf(HasSubstr("with 3 pairs"), HasSubstr("finds 4.9 points"), HasSubstr("(given)"),
                      HasSubstr("for 1.5 points: 10 pairs needed")));
    EXPECT_THAT(report(folder_.load(kStudy, {"study.seeds=1"}), arguments),
                HasSubstr("with one seed each nothing can be told from chance"));
}

TEST_F(StoredStudy, IsComparedByNameOrByFile) {
    run(folder_.load(kStudy));
    auto database = open_to_read(file());
    const auto stored = stored_record(database, "mine");
    ASSERT_TRUE(stored);
    EXPECT_FALSE(stored_record(database, "yours"));
    EXPECT_EQ(render_difference(*stored, record_of(folder_.load(kStudy))), "nothing differs: 3 variants\n");
    EXPECT_THROW(diff_studies("mine", "yours", file(), {}), UserError);
}

}  // namespace
}  // namespace orchestrate::testing
