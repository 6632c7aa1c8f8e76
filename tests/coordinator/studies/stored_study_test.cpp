// What `plan`, `diff` and `run` say of a study that the database knows.
#include "coordinator/studies/stored_study.h"

#include <gmock/gmock.h>

#include "common/base/error.h"
#include "common/base/sha256.h"
#include "coordinator/cli/diff_report.h"
#include "coordinator/cli/plan_report.h"
#include "coordinator/database/read_database.h"
#include "coordinator/studies/stage_start.h"
#include "coordinator/studies/study_owner.h"
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
        VariantsOfStages done;
        for (std::size_t i = 0; i < study.stages.size(); ++i) {
            const auto variants = variants_of_stage(study, study.stages[i],
                                                    start_of_stage(study, study.stages[i], row, done, store));
            done[study.stages[i].name] = variants;
            double f1 = 0.6;
            for (const JobId job :
                 store.sync_stage(row, static_cast<int>(i), study.stages[i], variants, study.paths)) {
                f1 += job.value() % 2 == 0 ? 0.02 : -0.03;
                if (store.jobs().at(job).state == JobState::succeeded) {
                    continue;
                }
                AttemptEnded ended;
                ended.attempt = store.begin_attempt(job, worker, "/logs").id;
                ended.cause = Cause::succeeded;
                ended.result.emplace();
                ended.result->classes = {"funk", "punk"};
                ended.result->of_command = study.is_of_command();
                const std::string metric = study.is_of_command() ? "a" : "macro_f1";
                ended.result->metrics = {{MetricPart::validation, metric, f1},
                                         {MetricPart::test, metric, f1}};
                ended.result->total_seconds = seconds;
                ended.result->ranks = 1;
                ended.result->device_class = "cpu avx2";
                ended.result->data.data_sha256 = study.base.data.sha256;
                ASSERT_TRUE(store.end_attempt(ended));
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

const std::string kSearched = kStudy + "[search]\nmethod = \"grid\"\n[search.space]\ntrain.epochs = [7, 9]\n";

TEST_F(StoredStudy, AWidenedSearchIsPlannedBesideTheBestSoFar) {
    const auto study = folder_.load(kSearched);
    run(study);
    PlanArguments arguments;
    arguments.database = file();
    EXPECT_THAT(whole_plan(study, arguments, {}), HasSubstr("\n  best of search: trial 1 (epochs 7)"));
    const auto wider = folder_.load(kSearched, {"search.space.train.epochs=[7, 9, 11]"});
    EXPECT_THAT(difference_to_last_run(wider, file()),
                AllOf(HasSubstr("+ new       search: trial 3"), Not(HasSubstr("ablation:")),
                      HasSubstr("1 variant new, 0 changed"), HasSubstr("3 jobs to run"),
                      HasSubstr("stage ablation is shown beside the best of the results so far")));
    EXPECT_THAT(whole_plan(wider, arguments, {}),
                AllOf(HasSubstr("so far best of search: trial 1 (epochs 7)"), HasSubstr("; 3 to run")));
}

TEST_F(StoredStudy, RowsThatWereChosenAreShown) {
    const auto study = folder_.load(kStudy +
                                    "[stages.widths]\nrows = \"top 1 of ablation by validation macro_f1\"\n"
                                    "[[ablation]]\nstage = \"widths\"\nsweep = { model.head_width = [8] }\n");
    run(study);
    PlanArguments arguments;
    arguments.database = file();
    EXPECT_EQ(difference_to_last_run(study, file()), "");
    EXPECT_THAT(whole_plan(study, arguments, {}),
                AllOf(HasSubstr("; 0 to run"), HasSubstr("widths goes on with: "), Not(HasSubstr("could be")),
                      Not(HasSubstr("cost"))));
}

TEST_F(StoredStudy, TrialsThatStoppedAtTheirRungAreDone) {
    const auto study = folder_.load(kDataSection + R"([study]
name = "mine"
[train]
epochs = 3
[search]
method = "grid"
rungs = [1]
reduction_factor = 2
[search.space]
train.learning_rate = [1e-3, 1e-4]
)");
    {
        JobStore store(file());
        const auto row = store.begin_study(study);
        const auto jobs =
            store.sync_stage(row, 0, study.stages[0], study.expand(study.stages[0], study.base), study.paths);
        const WorkerRecord worker{0, "here-1", "host", 1, 1, "cpu", "/logs/here-1.log"};
        const auto train = [&](JobId job, std::int64_t from, std::int64_t to, double f1, Cause cause) {
            AttemptEnded ended;
            ended.attempt = store.begin_attempt(job, worker, "/logs").id;
            ended.cause = cause;
            for (std::int64_t epoch = from; epoch <= to; ++epoch) {
                EpochMetrics metrics;
                metrics.epoch = epoch;
                metrics.metrics = {{MetricPart::validation, "macro_f1", f1}};
                store.add_epoch(ended.attempt, metrics);
                ended.epochs.push_back(metrics);
            }
            if (cause == Cause::succeeded) {
                ended.result.emplace();
                ended.result->classes = {"funk", "punk"};
            }
            ASSERT_TRUE(store.end_attempt(ended));
        };
        train(jobs.at(0), 1, 1, 0.6, Cause::paused);
        train(jobs.at(1), 1, 1, 0.4, Cause::paused);
        store.promote(jobs[0], 3);
        EXPECT_THAT(report(study), AllOf(HasSubstr("1 job done already"), HasSubstr("; 1 to run")));
        train(jobs[0], 2, 3, 0.7, Cause::succeeded);
        store.set_study_state(row, StudyState::finished);
    }
    EXPECT_THAT(report(study),
                HasSubstr("2 jobs done already, in this study or another (1 of them stopped at "
                          "a rung); 0 to run"));
}

TEST_F(StoredStudy, OnlyPairsWithTheBaselineCount) {
    PlanArguments arguments;
    arguments.spread = 1.5;
    EXPECT_THAT(report(folder_.load(kStudy, {"study.baseline_seeds=30"}), arguments),
                HasSubstr("with 3 pairs"));
    EXPECT_THAT(report(folder_.load(kStudy, {"study.baseline_seeds=[7, 8, 9]"}), arguments),
                HasSubstr("nothing can be told from chance"));
}

const std::string kCommandStudy = R"([study]
name = "mine"
[command]
run = ["/home/a/venv/bin/python3", "{x}"]
metrics = ["a"]
[parameters]
x = 1
)";

TEST_F(StoredStudy, AnEditOfACommandIsAllThatIsShown) {
    run(folder_.load(kCommandStudy));
    const auto edited = folder_.load(kCommandStudy + "[[ablation]]\nsweep = { x = [2] }\n");
    EXPECT_EQ(difference_to_last_run(edited, file()),
              "since the last run of this study:\n"
              "+ new       ablation: x 2 (1 new job)\n"
              "1 variant new, 0 changed, 0 gone, 1 unchanged; 1 job to run that was not there before\n");
    EXPECT_THAT(difference_to_last_run(folder_.load(kCommandStudy, {"parameters.x=3"}), file()),
                HasSubstr("everywhere: x 1 -> 3\n"));
    EXPECT_THAT(difference_to_last_run(folder_.load(kCommandStudy + "y = 5\n"), file()),
                HasSubstr("everywhere: with y = 5\n"));
}

TEST_F(StoredStudy, AnInterpreterInAnotherDirectoryIsTheSameJob) {
    run(folder_.load(kCommandStudy));
    const auto moved = folder_.load(kCommandStudy, {R"(command.run=["/opt/python3", "{x}"])"});
    EXPECT_EQ(difference_to_last_run(moved, file()), "");
    EXPECT_THAT(report(moved), HasSubstr("; 0 to run"));
    const auto other = folder_.load(kCommandStudy, {R"(command.run=["/opt/pypy3", "{x}"])"});
    EXPECT_THAT(report(other), HasSubstr("cost"));
}

TEST_F(StoredStudy, AJobThatIsStillToRunIsRunByTheInterpreterOfToday) {
    JobStore store(file());
    for (const std::string program : {"/home/a/venv/bin/python3", "/opt/python3"}) {
        const auto study = folder_.load(kCommandStudy, {"command.run=[\"" + program + "\", \"{x}\"]"});
        const auto row = store.begin_study(study);
        const auto jobs =
            store.sync_stage(row, 0, study.stages[0], study.expand(study.stages[0], study.base), study.paths);
        ASSERT_EQ(jobs.size(), 1U);
        EXPECT_EQ(jobs[0], JobId(1));
        EXPECT_EQ(store.terms(jobs[0]).config.command->run.front(), program);
    }
}

// A worker of an older version reports the hash of the whole configuration.
TEST_F(StoredStudy, AResultOfAnOlderWorkerIsTheJobs) {
    JobStore store(file());
    const auto study = folder_.load(kCommandStudy);
    const auto row = store.begin_study(study);
    const auto jobs =
        store.sync_stage(row, 0, study.stages[0], study.expand(study.stages[0], study.base), study.paths);
    AttemptEnded ended;
    ended.attempt = store.begin_attempt(jobs.at(0), {0, "here-1", "host", 1, 1, "cpu", "/l"}, "/logs").id;
    ended.cause = Cause::succeeded;
    ended.result.emplace();
    ended.result->of_command = true;
    ended.result->metrics = {{MetricPart::test, "a", 0.5}};
    ended.job_identity = sha256_hex("another job");
    EXPECT_FALSE(store.end_attempt(ended));
    ended.job_identity = sha256_hex(canonical_json(store.terms(jobs[0]).config));
    EXPECT_TRUE(store.end_attempt(ended));
}

TEST_F(StoredStudy, AnotherFileOfTheSameNameIsAnotherStudy) {
    const auto study = folder_.load(kStudy);
    run(study);
    std::filesystem::create_directory(folder_.path() / "other");
    std::filesystem::copy_file(folder_.path() / "tracks.csv", folder_.path() / "other/tracks.csv");
    const auto load_other = [&](const std::string& text) {
        return load_study(folder_.write("other/study.toml", text), {});
    };
    auto database = open_to_read(file());
    const auto conflict = name_conflict(load_other(kStudy + "[train]\nepochs = 9\n"), database);
    ASSERT_TRUE(conflict);
    EXPECT_THAT(*conflict, AllOf(HasSubstr(study.file.string()), HasSubstr("study.name")));
    EXPECT_THAT(report(load_other(kStudy + "[train]\nepochs = 9\n")), HasSubstr("run would refuse it"));
    EXPECT_FALSE(name_conflict(load_other(kStudy), database)) << "a copied directory";
    EXPECT_FALSE(name_conflict(folder_.load(kStudy + "[train]\nepochs = 9\n"), database)) << "edited";
    std::filesystem::create_directory_symlink(folder_.path(), folder_.path() / "other/link");
    EXPECT_FALSE(
        name_conflict(load_study(folder_.path() / "other/link/study.toml", {"train.epochs=9"}), database));
    const auto moved = load_other(kStudy + "[train]\nepochs = 9\n");
    std::filesystem::remove(study.file);
    EXPECT_FALSE(name_conflict(moved, database)) << "the first file is gone";
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
    EXPECT_THROW(diff_report("mine", "yours", file(), {}), UserError);
}

TEST_F(StoredStudy, AVariantThatComesBackIsDoneAlready) {
    run(folder_.load(kStudy));
    auto database = open_to_read(file());
    auto without = *stored_record(database, "mine");
    const auto whole = without;
    without.variants.pop_back();
    EXPECT_THAT(render_difference(without, whole, jobs_with_result(database)),
                AllOf(HasSubstr("jobs are done already)"), HasSubstr("; 0 jobs to run")));
}

}  // namespace
}  // namespace orchestrate::testing
