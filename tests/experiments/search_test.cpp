#include <cmath>
#include <set>

#include <gmock/gmock.h>

#include "study_files.h"

namespace orchestrate::testing {
namespace {

using ::testing::ElementsAre;

const std::string kSpace = R"([search.space]
"train.epochs" = { choice = [2, 4, 8] }
train.batch_size = { integer = [10, 13] }
train.learning_rate = { log_uniform = [1e-5, 1e-1] }
model.hidden_dropout_prob = { uniform = [0.1, 0.3] }
)";

std::vector<Variant> trials(const StudyFolder& folder, int count, int seed, const std::string& space) {
    const auto study = folder.load(kDataSection + "[search]\ntrials = " + std::to_string(count) +
                                   "\nseed = " + std::to_string(seed) + "\n" + space);
    return study.expand(study.stages.front(), study.base);
}

TEST(Search, ComesFirstAndTheAblationsStartFromItsBest) {
    const StudyFolder folder;
    const auto study = folder.load(
        kDataSection + "[search]\ntrials = 2\nselect_by = \"validation accuracy\"\nseeds = [7]\n" + kSpace +
        "[[ablation]]\nadd = \"explicit\"\n");
    ASSERT_EQ(study.stages.size(), 2U);
    EXPECT_EQ(study.stages[0].kind, StageKind::search);
    EXPECT_EQ(study.stages[0].name, "search");
    EXPECT_EQ(study.stages[1].baseline_stage, "search");
    EXPECT_EQ(study.stages[1].select_by.name, "accuracy");
    const auto search = study.expand(study.stages[0], study.base);
    EXPECT_THAT(names_of(search), ElementsAre("trial 1", "trial 2"));
    EXPECT_THAT(seeds_of(search[0]), ElementsAre(SeedConfig{7, 7}));
    EXPECT_FALSE(search[0].is_baseline);
    const auto ablations = study.expand(study.stages[1], search[1].config);
    EXPECT_EQ(ablations[0].config, search[1].config);
    EXPECT_THAT(seeds_of(ablations[0]), ElementsAre(SeedConfig{1, 1}));
}

TEST(Search, FirstTrialsStayTheSameWhenThereAreMore) {
    const StudyFolder folder;
    const auto few = trials(folder, 5, 1, kSpace);
    const auto many = trials(folder, 50, 1, kSpace);
    ASSERT_EQ(few.size(), 5U);
    ASSERT_EQ(many.size(), 50U);
    for (std::size_t i = 0; i < few.size(); ++i) {
        EXPECT_EQ(few[i].config, many[i].config);
        EXPECT_EQ(few[i].change, many[i].change);
    }
}

TEST(Search, AFieldIsDrawnOnceWhateverItIsWrittenLike) {
    const StudyFolder folder;
    const std::string toml =
        kDataSection + "[search]\ntrials = 3\n[search.space]\n\"train.epochs\" = [2, 4]\n";
    const auto study = folder.load(toml, {"search.space.train.epochs=[7]"});
    for (const auto& trial : study.expand(study.stages[0], study.base)) {
        EXPECT_EQ(trial.config.train.epochs, 7);
        EXPECT_EQ(trial.change, "epochs 7");
    }
    const auto diagnostics = folder.diagnostics(toml + "train.epochs = [3]\n");
    ASSERT_EQ(diagnostics.size(), 1U);
    EXPECT_EQ(diagnostics[0].message,
              "train.epochs is given twice, the other time in line 8; expected it once");
}

TEST(Search, AnotherFieldDoesNotDisturbTheOthers) {
    const StudyFolder folder;
    const auto plain = trials(folder, 20, 1, kSpace);
    const auto wider = trials(folder, 20, 1, kSpace + "train.weight_decay = { uniform = [0, 0.1] }\n");
    for (std::size_t i = 0; i < plain.size(); ++i) {
        EXPECT_EQ(plain[i].config.train.learning_rate, wider[i].config.train.learning_rate);
        EXPECT_EQ(plain[i].config.train.epochs, wider[i].config.train.epochs);
    }
}

TEST(Search, AnotherSeedDrawsOthers) {
    const StudyFolder folder;
    EXPECT_NE(trials(folder, 1, 1, kSpace)[0].config, trials(folder, 1, 2, kSpace)[0].config);
}

// Golden: a change of these draws would silently turn old studies into new ones.
TEST(Search, DrawsAreFixedForever) {
    const StudyFolder folder;
    const auto drawn = trials(folder, 3, 1, kSpace);
    EXPECT_EQ(drawn[0].change, "epochs 2, batch size 11, learning rate 0.0001184, hidden dropout 0.2721");
    EXPECT_EQ(drawn[1].change, "epochs 8, batch size 13, learning rate 0.00275, hidden dropout 0.2147");
    EXPECT_EQ(drawn[2].change, "epochs 8, batch size 11, learning rate 0.02421, hidden dropout 0.2675");
}

TEST(Search, DrawsFillTheirRanges) {
    const StudyFolder folder;
    std::set<std::int64_t> epochs;
    std::set<std::int64_t> batch_sizes;
    double sum_of_logs = 0;
    double sum_of_dropouts = 0;
    const int count = 2000;
    for (const auto& trial : trials(folder, count, 3, kSpace)) {
        epochs.insert(trial.config.train.epochs);
        batch_sizes.insert(trial.config.train.batch_size);
        EXPECT_GE(trial.config.train.learning_rate, 1e-5);
        EXPECT_LE(trial.config.train.learning_rate, 1e-1);
        EXPECT_GE(trial.config.model.hidden_dropout_prob, 0.1);
        EXPECT_LE(trial.config.model.hidden_dropout_prob, 0.3);
        sum_of_logs += std::log10(trial.config.train.learning_rate);
        sum_of_dropouts += trial.config.model.hidden_dropout_prob;
    }
    EXPECT_THAT(epochs, ElementsAre(2, 4, 8));
    EXPECT_THAT(batch_sizes, ElementsAre(10, 11, 12, 13));
    // Five standard deviations of the means: 4 / sqrt(12 n) and 0.2 / sqrt(12 n).
    EXPECT_NEAR(sum_of_logs / count, -3, 5 * 4 / std::sqrt(12.0 * count));
    EXPECT_NEAR(sum_of_dropouts / count, 0.2, 5 * 0.2 / std::sqrt(12.0 * count));
}

TEST(Search, SaysOnceThatTrialsRepeat) {
    const StudyFolder folder;
    const auto study = folder.load(
        kDataSection + "[search]\ntrials = 20\n[search.space]\ntrain.epochs = { choice = [1, 2] }\n");
    ASSERT_EQ(study.warnings.size(), 1U);
    EXPECT_EQ(study.warnings[0].message,
              "20 trials make 2 different configurations; equal ones share their jobs");
}

TEST(Search, FeaturesMayBeChosenToo) {
    const StudyFolder folder;
    const auto drawn =
        trials(folder, 20, 1,
               "[search.space]\ndata.features = { choice = [[\"energy\"], [\"tempo\", \"explicit\"]] }\n");
    std::set<std::vector<std::string>> found;
    for (const auto& trial : drawn) {
        found.insert(trial.config.data.features);
    }
    EXPECT_THAT(found, ElementsAre(ElementsAre("energy"), ElementsAre("tempo", "explicit")));
}

}  // namespace
}  // namespace orchestrate::testing
