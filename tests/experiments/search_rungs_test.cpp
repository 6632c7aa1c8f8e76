// Successive halving in a study file: rungs, what contradicts them, and what plan says they save.
#include "experiments/expansion/search_rungs.h"

#include <gmock/gmock.h>

#include "experiments/plan.h"
#include "experiments/tree.h"
#include "study_files.h"

namespace orchestrate::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string study_with(const std::string& search, const std::string& space = "") {
    return kDataSection + "[train]\nepochs = 27\n[search]\ntrials = 9\n" + search +
           "\n[search.space]\ntrain.learning_rate = { log_uniform = [1e-4, 1e-2] }\n" + space + "\n";
}

TEST(SearchRungs, AreGivenOrMadeOfTheFirst) {
    const StudyFolder folder;
    EXPECT_THAT(folder.load(study_with("rungs = [1, 5]")).stages[0].halving.rungs, ElementsAre(1, 5));
    EXPECT_THAT(folder.load(study_with("rungs = [1, 5, 27]")).stages[0].halving.rungs, ElementsAre(1, 5));
    EXPECT_THAT(folder.load(study_with("min_epochs = 1")).stages[0].halving.rungs, ElementsAre(1, 3, 9));
    EXPECT_THAT(folder.load(study_with("min_epochs = 2\nreduction_factor = 4")).stages[0].halving.rungs,
                ElementsAre(2, 8));
    EXPECT_THAT(folder.load(study_with("")).stages[0].halving.rungs, IsEmpty());
}

TEST(SearchRungs, ChangeNoIdentityAndPauseEveryTrialAtTheFirst) {
    const StudyFolder folder;
    const auto with = folder.load(study_with("rungs = [2, 6]\ndeterministic = true"));
    const auto without = folder.load(study_with(""));
    const auto trials = with.expand(with.stages[0], with.base);
    const auto plain = without.expand(without.stages[0], without.base);
    ASSERT_EQ(trials.size(), plain.size());
    for (std::size_t i = 0; i < trials.size(); ++i) {
        EXPECT_EQ(trials[i].config, plain[i].config);
        EXPECT_EQ(trials[i].resources.pause_after_epoch, 2);
        EXPECT_EQ(plain[i].resources.pause_after_epoch, 0);
    }
    EXPECT_TRUE(with.stages[0].halving.deterministic);
}

TEST(SearchRungs, PlanSaysWhatTheySave) {
    const StudyFolder folder;
    const auto expected = expected_epochs({{1, 3, 9}, 3, true}, 9, 27);
    EXPECT_EQ(expected.without, 243);
    EXPECT_EQ(expected.with_rungs, 9 * 1 + 3 * 2 + 1 * 6 + 1 * 18);
    EXPECT_THAT(render_plan(folder.load(study_with("min_epochs = 1\ndeterministic = true"))),
                HasSubstr("  after epoch 1, 3 and 9 the best 1 in 3 go on, once all are there: 39 of 243\n   "
                          " epochs are trained\n"));
    EXPECT_THAT(render_tree(folder.load(study_with("min_epochs = 1"))),
                HasSubstr("1 in 3 goes on after epoch 1, 3 and 9"));
}

TEST(SearchRungs, ContradictionsAreSaid) {
    const StudyFolder folder;
    const std::vector<std::pair<std::string, std::string>> wrong = {
        {study_with("rungs = [3, 1]"), "ascending"},
        {study_with("rungs = [30]"), "train.epochs is 27"},
        {study_with("min_epochs = 27"), "train.epochs is 27"},
        {study_with("rungs = [1]\nmin_epochs = 1"), "contradict each other"},
        {study_with("deterministic = true"), "is of successive halving"},
        {study_with("rungs = [1]\nselect_by = \"test accuracy\""), "not tested yet"},
        {study_with("rungs = [1]", "train.epochs = [9, 27]"), "train.epochs is searched"},
        {study_with("rungs = [1]\nreduction_factor = 1"), "from 2 to 1000"},
    };
    for (const auto& [toml, message] : wrong) {
        const auto diagnostics = folder.diagnostics(toml);
        ASSERT_THAT(diagnostics, Not(IsEmpty())) << message;
        EXPECT_THAT(diagnostics[0].message, HasSubstr(message));
    }
}

}  // namespace
}  // namespace orchestrate::testing
