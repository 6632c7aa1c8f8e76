// [[ensemble]]: members by name or by rank, their runs side by side, and what cannot be combined.
#include "experiments/expansion/ensembles.h"

#include <gmock/gmock.h>

#include "experiments/plan.h"
#include "experiments/study_diff.h"
#include "experiments/tree.h"
#include "study_files.h"

namespace orchestrate::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

const std::string kAblations =
    "[study]\nseeds = [1, 2]\n" + kDataSection + "[[ablation]]\nleave_one_out = \"data.features\"\n";
const std::string kSearch = kDataSection +
                            "[search]\ntrials = 4\n[search.space]\n"
                            "train.learning_rate = { log_uniform = [1e-4, 1e-2] }\n";

std::vector<const Variant*> pointers(const std::vector<Variant>& variants,
                                     const std::vector<std::string>& names) {
    std::vector<const Variant*> found;
    for (const auto& variant : variants) {
        if (std::find(names.begin(), names.end(), variant.name) != names.end()) {
            found.push_back(&variant);
        }
    }
    return found;
}

TEST(Ensembles, NameTheirMembers) {
    const StudyFolder folder;
    const auto study =
        folder.load(kAblations + "[[ensemble]]\nmembers = [\"baseline\", \"without tempo\"]\n");
    ASSERT_THAT(study.ensembles, SizeIs(1));
    const auto& ensemble = study.ensembles[0];
    EXPECT_EQ(ensemble.name, "mean of baseline and without tempo");
    EXPECT_EQ(ensemble.stage, "ablation");
    EXPECT_EQ(ensemble.combine, EnsembleRule::mean);
    ASSERT_THAT(ensemble.members, SizeIs(2));
    EXPECT_EQ(ensemble.members[1].stage, "ablation");
    EXPECT_EQ(ensemble.members[1].variant, "without tempo");
}

TEST(Ensembles, TakeTheBestOfASearch) {
    const StudyFolder folder;
    const auto study = folder.load(kSearch +
                                   "[[ensemble]]\nname = \"three\"\nmembers = \"best 3 of search by "
                                   "validation accuracy\"\ncombine = \"vote\"\n");
    ASSERT_THAT(study.ensembles, SizeIs(1));
    EXPECT_EQ(study.ensembles[0].stage, "search");
    EXPECT_EQ(study.ensembles[0].best, 3U);
    EXPECT_EQ(study.ensembles[0].select_by.name, "accuracy");
    EXPECT_EQ(study.ensembles[0].change, "vote of the best 3 of search");
    EXPECT_THAT(study.warnings, IsEmpty());
}

TEST(Ensembles, TheBestAreThoseWithTheHighestMeansAndTheEarlierOfEqualOnes) {
    const std::vector<std::optional<double>> means = {0.5, std::nullopt, 0.7, 0.5, std::nan(""), 0.6};
    EXPECT_THAT(best_variants(means, 3), ElementsAre(2U, 5U, 0U));
    EXPECT_THAT(best_variants(means, 9), ElementsAre(2U, 5U, 0U, 3U));
}

TEST(Ensembles, CombineRunsOfEqualSeedsUnderTheStagesPairs) {
    const StudyFolder folder;
    const auto study = folder.load("[study]\nseeds = [1, 2, 3]\n" + kDataSection +
                                   "[[ablation]]\nleave_out = \"tempo\"\nseeds = [3, 9, 1]\n");
    const auto variants = last_stage(study);
    const auto runs = ensemble_runs({}, pointers(variants, {"baseline", "without tempo"}), variants);
    ASSERT_THAT(runs, SizeIs(2));
    EXPECT_EQ(runs[0].run.seed.initialization, 1U);
    EXPECT_EQ(runs[0].run.pair, variants[0].runs[0].pair);
    EXPECT_EQ(runs[1].run.seed.initialization, 3U);
    EXPECT_EQ(runs[1].run.pair, variants[0].runs[2].pair);
    EXPECT_THAT(runs[0].members, SizeIs(2));
    EXPECT_TRUE(std::is_sorted(runs[0].members.begin(), runs[0].members.end()));
}

TEST(Ensembles, OverSeedsThereIsOneResultPerFold) {
    const StudyFolder folder;
    const auto study =
        folder.load("[study]\nseeds = [1, 2, 3]\n" + kDataSection + "[data.split]\nfolds = 4\n");
    const auto variants = last_stage(study);
    Ensemble ensemble;
    ensemble.across_seeds = true;
    const auto runs = ensemble_runs(ensemble, {&variants[0]}, variants);
    ASSERT_THAT(runs, SizeIs(4));
    for (const auto& run : runs) {
        EXPECT_LT(run.run.pair, 0);
        EXPECT_THAT(run.members, SizeIs(3));
    }
}

TEST(Ensembles, AreIdentifiedByRuleAndMembersWhateverTheirOrder) {
    const StudyFolder folder;
    const auto variants = last_stage(folder.load(kAblations));
    const auto one = ensemble_runs({}, {&variants[0], &variants[1]}, variants);
    const auto other = ensemble_runs({}, {&variants[1], &variants[0]}, variants);
    const auto twice = ensemble_runs({}, {&variants[0], &variants[1], &variants[1]}, variants);
    EXPECT_EQ(canonical_json(EnsembleRule::mean, one[0]), canonical_json(EnsembleRule::mean, other[0]));
    EXPECT_EQ(canonical_json(EnsembleRule::mean, one[0]), canonical_json(EnsembleRule::mean, twice[0]));
    EXPECT_NE(canonical_json(EnsembleRule::mean, one[0]), canonical_json(EnsembleRule::vote, one[0]));
    EXPECT_NE(canonical_json(EnsembleRule::mean, one[0]), canonical_json(EnsembleRule::mean, one[1]));
}

TEST(Ensembles, ChangeNoJob) {
    const StudyFolder folder;
    const auto plain = record_of(folder.load(kAblations));
    const auto study =
        folder.load(kAblations + "[[ensemble]]\nmembers = [\"baseline\"]\nacross_seeds = true\n");
    const auto differences = compare(plain, record_of(study));
    ASSERT_THAT(differences, SizeIs(5));
    EXPECT_EQ(differences.back().kind, VariantDifference::Kind::is_new);
    EXPECT_EQ(differences.back().jobs, 0U);
    EXPECT_THAT(render_difference(plain, record_of(study)),
                HasSubstr("ablation: mean of baseline, over seeds (computed, nothing to train)"));
    EXPECT_THAT(render_plan(study),
                HasSubstr("  ensemble mean of baseline, over seeds; computed, no training\n"));
    EXPECT_THAT(render_tree(study), HasSubstr("mean of baseline, over seeds (computed)"));
}

struct Wrong {
    std::string ensemble;
    std::string message;
    std::string suggestion;
};

TEST(Ensembles, MistakesAreSaidWithTheNearestName) {
    const StudyFolder folder;
    const std::vector<Wrong> all = {
        {"members = [\"baseline\", \"without temp\"]", "there is no variant 'without temp'", "without tempo"},
        {"members = [\"baseline\"]", "an ensemble of one variant is that variant", ""},
        {"members = \"best 9 of ablation\"", "stage 'ablation' has 4 variants", ""},
        {"members = \"best 2 of ablatoin\"", "there is no stage 'ablatoin'", "ablation"},
        {"members = \"top 2 of ablation\"", "members", ""},
        {"members = [\"baseline\", \"without tempo\"]\ncombine = \"meen\"", "combine cannot be", "mean"},
        {"members = [\"baseline\", \"without tempo\"]\nstage = \"abl\"", "there is no stage 'abl'", ""},
        {"members = [\"baseline\", \"without tempo\"]\nname = \"baseline\"",
         "two variants are named 'baseline'", ""},
        {"membres = [\"baseline\"]", "unknown key 'membres'", "members"},
        {"combine = \"vote\"", "this ensemble has no members", ""},
        {"members = [\"baseline\", \"without tempo\"]\nacross_seeds = 2", "across_seeds", ""},
    };
    for (const auto& wrong : all) {
        const auto diagnostics = folder.diagnostics(kAblations + "[[ensemble]]\n" + wrong.ensemble + "\n");
        ASSERT_THAT(diagnostics, Not(IsEmpty())) << wrong.ensemble;
        EXPECT_THAT(diagnostics[0].message, HasSubstr(wrong.message)) << wrong.ensemble;
        if (!wrong.suggestion.empty()) {
            EXPECT_EQ(diagnostics[0].suggestion, wrong.suggestion) << wrong.ensemble;
        }
        EXPECT_GE(diagnostics[0].line, 9) << wrong.ensemble;
    }
}

TEST(Ensembles, MembersThatAreTestedOnOtherRowsAreRefused) {
    const StudyFolder folder;
    const auto diagnostics =
        folder.diagnostics(kDataSection +
                           "[[ablation]]\nset = { data.max_rows = 30 }\n[[ensemble]]\nmembers "
                           "= [\"baseline\", \"max rows 30\"]\n");
    ASSERT_THAT(diagnostics, SizeIs(1));
    EXPECT_THAT(diagnostics[0].message, HasSubstr("are tested on different rows"));
}

TEST(Ensembles, AChoiceByTheTestPartIsWarnedOf) {
    const StudyFolder folder;
    const auto study =
        folder.load(kSearch + "[[ensemble]]\nmembers = \"best 2 of search by test macro_f1\"\n");
    ASSERT_THAT(study.warnings, SizeIs(1));
    EXPECT_THAT(study.warnings[0].message,
                HasSubstr("the members of an ensemble would be chosen by the test part"));
}

TEST(Ensembles, OfAllIncludedFilesAreKept) {
    const StudyFolder folder;
    folder.write("lower.toml", kAblations + "[[ensemble]]\nname = \"a\"\nmembers = \"best 2 of ablation\"\n");
    const auto study = folder.load(
        "include = [\"lower.toml\"]\n[[ensemble]]\nname = \"b\"\nmembers = \"best 3 of ablation\"\n");
    EXPECT_THAT(study.ensembles, SizeIs(2));
}

}  // namespace
}  // namespace orchestrate::testing
