// Searches that are no plain draw: grids, lists side by side, steps, conditions.
#include <set>

#include <gmock/gmock.h>

#include "study_files.h"

namespace orchestrate::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

std::vector<Variant> trials(const StudyFolder& folder, const std::string& search) {
    const auto study = folder.load(kDataSection + "[search]\n" + search);
    return study.expand(study.stages.front(), study.base);
}

std::vector<std::string> changes(const std::vector<Variant>& variants) {
    std::vector<std::string> texts;
    for (const auto& variant : variants) {
        texts.push_back(variant.change);
    }
    return texts;
}

TEST(Grid, IsEveryCombination) {
    const StudyFolder folder;
    const auto made = trials(folder, R"(method = "grid"
[search.space]
"train.epochs" = [2, 4]
train.batch_size = { integer = [16, 48], step = 16 }
train.weight_decay = { uniform = [0, 0.3], step = 0.3 }
)");
    EXPECT_THAT(names_of(made), SizeIs(12));
    EXPECT_EQ(made[0].name, "trial 1");
    EXPECT_EQ(made[0].change, "epochs 2, batch size 16, weight decay 0");
    EXPECT_EQ(made[1].change, "epochs 2, batch size 16, weight decay 0.3");
    EXPECT_EQ(made[11].change, "epochs 4, batch size 48, weight decay 0.3");
    const auto texts = changes(made);
    EXPECT_THAT(std::set<std::string>(texts.begin(), texts.end()), SizeIs(12));
}

TEST(Grid, HasAConditionalFactorOnlyWhereItsConditionHolds) {
    const StudyFolder folder;
    const auto made = trials(folder, R"(method = "grid"
[search.space]
train.adam_beta1 = { choice = [0.8, 0.9], when = { train.optimizer = "adam" } }
train.optimizer = ["adamw", "adam"]
)");
    EXPECT_THAT(changes(made), ElementsAre("optimizer adamw", "optimizer adam, adam beta1 0.8",
                                           "optimizer adam, adam beta1 0.9"));
}

TEST(Zip, WalksListsSideBySide) {
    const StudyFolder folder;
    const auto made = trials(folder, R"(method = "zip"
[search.space]
model.hidden_size = [32, 64, 128]
model.num_attention_heads = { choice = [1, 2, 4] }
)");
    EXPECT_THAT(changes(made),
                ElementsAre("hidden size 32, attention heads 1", "hidden size 64, attention heads 2",
                            "hidden size 128, attention heads 4"));
}

TEST(RandomSearch, DrawsOnlyMultiplesOfAStep) {
    const StudyFolder folder;
    std::set<double> dropouts;
    std::set<std::int64_t> widths;
    std::set<double> decays;
    for (const auto& trial : trials(folder, R"(trials = 300
[search.space]
model.hidden_dropout_prob = { uniform = [0.0, 0.3], step = 0.1 }
model.head_width = { integer = [16, 64], step = 16 }
train.weight_decay = { log_uniform = [0.01, 0.1], step = 0.03 }
)")) {
        dropouts.insert(trial.config.model.hidden_dropout_prob);
        widths.insert(trial.config.model.head_width);
        decays.insert(trial.config.train.weight_decay);
    }
    EXPECT_THAT(dropouts, ElementsAre(0.0, 0.1, 0.2, 0.3));
    EXPECT_THAT(widths, ElementsAre(16, 32, 48, 64));
    EXPECT_THAT(decays, ElementsAre(0.01, 0.04, 0.07, 0.1));
}

TEST(RandomSearch, DrawsAConditionalFieldOnlyWhereItsConditionHolds) {
    const StudyFolder folder;
    int with_hidden_layer = 0;
    int without = 0;
    for (const auto& trial : trials(folder, R"(trials = 100
[search.space]
model.head_activation = { choice = ["tanh", "gelu"], when = { model.head_width = [16, 32] } }
model.head_width = { choice = ["none", 16, 32] }
model.classifier_dropout = { uniform = [0.2, 0.5], when = { model.head_activation = "tanh" } }
)")) {
        const auto& model = trial.config.model;
        const bool has_dropout = trial.change.find("classifier dropout") != std::string::npos;
        if (model.head_width == 0) {
            ++without;
            EXPECT_EQ(trial.change, "no hidden layer");
            EXPECT_EQ(model.classifier_dropout, 0.1);
        } else {
            ++with_hidden_layer;
            EXPECT_NE(model.head_activation, Activation::relu);
            EXPECT_EQ(has_dropout, model.head_activation == Activation::tanh);
        }
    }
    EXPECT_GT(without, 10);
    EXPECT_GT(with_hidden_layer, 40);
}

// A field keeps its draws when another one becomes conditional, and trials stay when there are more of them.
TEST(RandomSearch, ConditionsDisturbNoOtherDraw) {
    const StudyFolder folder;
    const std::string plain = "[search.space]\ntrain.epochs = [2, 4, 8]\nmodel.head_width = [8, 16]\n";
    const std::string conditional =
        "[search.space]\ntrain.epochs = { choice = [2, 4, 8], when = { model.head_width = 16 } }\n"
        "model.head_width = [8, 16]\n";
    const auto few = trials(folder, "trials = 20\n" + plain);
    const auto many = trials(folder, "trials = 40\n" + conditional);
    for (std::size_t i = 0; i < few.size(); ++i) {
        EXPECT_EQ(few[i].config.model.head_width, many[i].config.model.head_width);
        EXPECT_EQ(many[i].config.train.epochs,
                  many[i].config.model.head_width == 16 ? few[i].config.train.epochs : 3);
    }
}

struct Refused {
    std::string name;
    std::string search;
    std::string message;
};

class RefusedSearch : public ::testing::TestWithParam<Refused> {};

TEST_P(RefusedSearch, IsExplained) {
    const StudyFolder folder;
    const auto diagnostics = folder.diagnostics(kDataSection + "[search]\n" + GetParam().search);
    ASSERT_THAT(diagnostics, SizeIs(1)) << (diagnostics.empty() ? "" : StudyError(diagnostics).what());
    EXPECT_THAT(diagnostics[0].message, HasSubstr(GetParam().message));
    EXPECT_GT(diagnostics[0].line, 4);
}

std::string thousand_values() {
    std::string values = "0.1";
    for (int i = 1; i < 1000; ++i) {
        values += ", 0." + std::to_string(1000 + i);
    }
    return "[" + values + "]";
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, RefusedSearch,
    ::testing::Values(
        Refused{"a_thousand_millions",
                "method = \"grid\"\n[search.space]\ntrain.weight_decay = " + thousand_values() +
                    "\ntrain.learning_rate = " + thousand_values() +
                    "\nmodel.layer_norm_eps = " + thousand_values() + "\n",
                "the factor train.learning_rate makes the grid 1000 x 1000 trials; expected at most 100000"},
        Refused{"large_range",
                "method = \"grid\"\n[search.space]\ntrain.epochs = { integer = [1, 100000] }\n"
                "train.batch_size = [1, 2]\n",
                "the factor train.batch_size makes the grid 100000 x 2"},
        Refused{"endless_grid",
                "method = \"grid\"\n[search.space]\ntrain.weight_decay = { uniform = [0, 1] }\n",
                "infinitely many values"},
        Refused{"trials_of_a_grid", "method = \"grid\"\ntrials = 3\n[search.space]\ntrain.epochs = [1, 2]\n",
                "search.trials is of method"},
        Refused{"unequal_lists",
                "method = \"zip\"\n[search.space]\ntrain.epochs = [1, 2]\n"
                "train.batch_size = [8, 16, 32]\n",
                "train.epochs has 2 values and train.batch_size has 3"},
        Refused{"zipped_range", "method = \"zip\"\n[search.space]\ntrain.epochs = { integer = [1, 2] }\n",
                "expects lists of choices"},
        Refused{"zipped_condition",
                "method = \"zip\"\n[search.space]\ntrain.epochs = [1, 2]\n"
                "train.batch_size = { choice = [8, 16], when = { train.epochs = 2 } }\n",
                "no place in method"},
        Refused{"unknown_method", "method = \"gird\"\n[search.space]\ntrain.epochs = [1, 2]\n",
                "expected \"random\", \"grid\" or \"zip\""},
        Refused{"two_distributions", "[search.space]\ntrain.epochs = { choice = [1], integer = [1, 2] }\n",
                "choice and integer of train.epochs contradict"},
        Refused{"step_of_a_choice", "[search.space]\ntrain.epochs = { choice = [1, 2], step = 1 }\n",
                "a choice has no step"},
        Refused{"step_too_long", "[search.space]\ntrain.weight_decay = { uniform = [0, 1], step = 2 }\n",
                "at most the range's length, 1"},
        Refused{"broken_step", "[search.space]\ntrain.epochs = { integer = [1, 9], step = 1.5 }\n",
                "expected an integer"},
        Refused{"condition_on_what_is_not_searched",
                "[search.space]\ntrain.epochs = { choice = [1, 2], when = { model.head_width = 8 } }\n",
                "model.head_width, which is not searched"},
        Refused{"condition_that_never_holds",
                "[search.space]\nmodel.head_width = [8, 16]\n"
                "train.epochs = { choice = [1, 2], when = { model.head_width = [8, 17] } }\n",
                "model.head_width is never '17'"},
        Refused{"circle",
                "[search.space]\nmodel.head_width = { choice = [8, 16], when = { train.epochs = 1 } }\n"
                "train.epochs = { choice = [1, 2], when = { model.head_width = 8 } }\n",
                "lead back to itself"}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace orchestrate::testing
