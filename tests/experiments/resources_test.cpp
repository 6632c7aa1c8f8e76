// Fields that say what jobs may use, and change no job.
#include <gmock/gmock.h>

#include "experiments/calibration.h"
#include "study_files.h"

namespace orchestrate::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(Resources, AreReadAndChangeNoIdentity) {
    const StudyFolder folder;
    const auto plain = folder.load(kDataSection);
    const auto study = folder.load(
        "[study]\npriority = 5\nexpected_job_minutes = 2.5\n[study.retries]\nout_of_memory = "
        "2\nworker_crashed = 0\n"
        "[cluster]\njobs_per_gpu = 4\nmemory_mib_per_rank = 3000\n" +
        kDataSection);
    EXPECT_EQ(study.priority, 5);
    EXPECT_EQ(study.expected_job_minutes, 2.5);
    EXPECT_EQ(study.retries.out_of_memory, 2);
    EXPECT_EQ(study.retries.worker_crashed, 0);
    EXPECT_EQ(study.retries.diverged, 0);
    EXPECT_EQ(study.cluster.jobs_per_gpu, 4);
    EXPECT_EQ(plain.retries.worker_crashed, 2);
    EXPECT_EQ(job_identity(study.base), job_identity(plain.base));
}

TEST(Resources, SlurmTakesNoSharedGpusAndIsWarnedOfJobsThatOutliveAPilot) {
    const StudyFolder folder;
    const auto diagnostics =
        folder.diagnostics("[cluster]\nkind = \"slurm\"\njobs_per_gpu = 2\n" + kDataSection);
    ASSERT_THAT(diagnostics, SizeIs(1));
    EXPECT_THAT(diagnostics[0].message, HasSubstr("on Slurm each rank gets a GPU of its own"));
    EXPECT_EQ(diagnostics[0].line, 3);
    for (const auto& [limit, warnings] : std::vector<std::pair<std::string, std::size_t>>{
             {"00:59:00", 1}, {"01:01:00", 0}, {"59", 1}, {"61:00", 0}, {"1-00", 0}}) {
        const auto study =
            folder.load("[study]\nexpected_job_minutes = 60\n[cluster]\nkind = \"slurm\"\ntime_limit = \"" +
                        limit + "\"\n" + kDataSection);
        EXPECT_THAT(study.warnings, SizeIs(warnings)) << limit;
    }
}

TEST(Resources, ACalibrationStudyIsOneShortJob) {
    const StudyFolder folder;
    const auto study = folder.load(
        "[study]\nseeds = 5\nbaseline_seeds = 9\nsave_models = \"all\"\n" + kDataSection +
        "[data.split]\nfolds = 4\n[train]\nepochs = 50\n[search]\ntrials = "
        "3\n[search.space]\ntrain.batch_size = [8, 16]\n"
        "[[ablation]]\nleave_one_out = \"data.features\"\n[[ensemble]]\nmembers = \"best 2 of search\"\n");
    const auto short_one = folder.load(calibration_study(study));
    const auto variants = last_stage(short_one);
    ASSERT_THAT(variants, SizeIs(1));
    EXPECT_THAT(variants[0].runs, SizeIs(1));
    EXPECT_EQ(variants[0].config.train.epochs, 1);
    EXPECT_EQ(variants[0].config.model, study.base.model);
    EXPECT_EQ(variants[0].config.data.sha256, study.base.data.sha256);
    EXPECT_EQ(short_one.save_models, SaveModels::none);
    EXPECT_THAT(short_one.ensembles, IsEmpty());
}

}  // namespace
}  // namespace orchestrate::testing
