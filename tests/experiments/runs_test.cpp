// Which jobs a variant has: seeds, folds, repeated splits, and which of them are compared in pairs.
#include <set>

#include <gmock/gmock.h>

#include "experiments/plan.h"
#include "study_files.h"

namespace orchestrate::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

std::vector<int> pairs_of(const Variant& variant) {
    std::vector<int> pairs;
    for (const auto& run : variant.runs) {
        pairs.push_back(run.pair);
    }
    return pairs;
}

std::size_t different_jobs(const Variant& variant) {
    std::set<std::string> identities;
    for (const auto& run : variant.runs) {
        identities.insert(job_identity(job_of(variant, run)));
    }
    return identities.size();
}

TEST(Seeds, OfInitialWeightsAndDataOrderMayBeCrossed) {
    const StudyFolder folder;
    const auto baseline = last_stage(
        folder.load(kDataSection + "[study]\nseeds = { initialization = 2, data_order = [7, 8, 9] }\n"))[0];
    EXPECT_THAT(seeds_of(baseline), ElementsAre(SeedConfig{1, 7}, SeedConfig{1, 8}, SeedConfig{1, 9},
                                                SeedConfig{2, 7}, SeedConfig{2, 8}, SeedConfig{2, 9}));
    EXPECT_EQ(different_jobs(baseline), 6U);
    EXPECT_EQ(describe(baseline, baseline.runs[1]), "initial weights 1, data order 8");
    EXPECT_EQ(describe(baseline, orchestrate::Run{{3, 3}}), "seed 3");
}

TEST(Seeds, TheBaselineMayHaveMore) {
    const StudyFolder folder;
    const auto variants = last_stage(folder.load(kDataSection + R"([study]
seeds = 2
baseline_seeds = 5
[[ablation]]
add = "explicit"
[[ablation]]
add = "duration_ms"
seeds = [2, 8]
)"));
    EXPECT_THAT(pairs_of(variants[0]), ElementsAre(0, 1, 2, 3, 4));
    EXPECT_THAT(pairs_of(variants[1]), ElementsAre(0, 1));
    EXPECT_THAT(pairs_of(variants[2]), ElementsAre(1, 5)) << "seed 8 has no partner";
}

TEST(Folds, AreAnAxisOfTheirOwn) {
    const StudyFolder folder;
    const auto study = folder.load(kDataSection + R"([data.split]
folds = 5
validation = 0.2
[study]
seeds = 2
[[ablation]]
leave_out = "tempo"
)");
    EXPECT_DOUBLE_EQ(study.base.data.split.test, 0.2);
    EXPECT_DOUBLE_EQ(study.base.data.split.train, 0.6);
    const auto variants = last_stage(study);
    for (const auto& variant : variants) {
        EXPECT_THAT(variant.runs, SizeIs(10));
        EXPECT_EQ(different_jobs(variant), 10U);
        EXPECT_EQ(variant.config.data.split.fold, 0);
    }
    EXPECT_EQ(pairs_of(variants[0]), pairs_of(variants[1]));
    const auto& run = variants[1].runs[7];
    EXPECT_EQ(job_of(variants[1], run).data.split.fold, 2);
    EXPECT_EQ(describe(variants[1], run), "seed 2, fold 3 of 5");
    EXPECT_THAT(render_plan(study), HasSubstr("10 jobs"));
}

TEST(RepeatedSplits, TakeSeedsFromTheFirstUpwards) {
    const StudyFolder folder;
    const auto baseline =
        last_stage(folder.load(kDataSection + "split = { repeats = 3, seed = 40 }\n[study]\nseeds = 2\n"))[0];
    ASSERT_THAT(baseline.runs, SizeIs(6));
    EXPECT_EQ(job_of(baseline, baseline.runs[2]).data.split.seed, 42U);
    EXPECT_EQ(different_jobs(baseline), 6U);
    EXPECT_EQ(describe(baseline, baseline.runs[5]), "seed 2, split 3");
}

struct Refused {
    const char* toml;
    const char* message;
};

TEST(Runs, MistakesAreNamed) {
    const StudyFolder folder;
    for (const auto& [toml, message] : std::vector<Refused>{
             {"[study]\nseeds = { initialization = 2 }\n", "need both"},
             {"[study]\nseeds = { initialisation = 2, data_order = 2 }\n", "unknown key 'initialisation'"},
             {"[study]\nseeds = { initialization = 5000, data_order = 5000 }\n", "5000 x 5000 seeds"},
             {"[data.split]\nfolds = 1\n", "train on none"},
             {"[data.split]\nfolds = 5\ntest = 0.2\n", "contradict"},
             {"[data.split]\nfolds = 2\nvalidation = 0.5\n", "leaves nothing to train on"},
             {"[data.split]\nrepeats = 0\n", "from 1 to 1000"}}) {
        const auto diagnostics = folder.diagnostics(kDataSection + toml);
        ASSERT_THAT(diagnostics, SizeIs(1))
            << toml << (diagnostics.empty() ? "" : StudyError(diagnostics).what());
        EXPECT_THAT(diagnostics[0].message, HasSubstr(message));
    }
}

}  // namespace
}  // namespace orchestrate::testing
