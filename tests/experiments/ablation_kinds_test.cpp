// The ways to say an ablation beyond leaving one out: groups, pairs, subsets, keeping one, crossing, by name.
#include <set>

#include <gmock/gmock.h>

#include "study_files.h"

namespace orchestrate::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

std::vector<Variant> variants_of(const StudyFolder& folder, const std::string& ablation) {
    auto variants = last_stage(folder.load(kDataSection + "[[ablation]]\n" + ablation));
    variants.erase(variants.begin());  // the baseline
    return variants;
}

TEST(AblationKinds, NamedGroups) {
    const StudyFolder folder;
    const auto made = variants_of(
        folder, "leave_groups_out = { sound = [\"energy\", \"tempo\"], \"the mood\" = \"valence\" }\n");
    EXPECT_THAT(names_of(made), ElementsAre("without sound", "without the mood"));
    EXPECT_EQ(made[0].change, "data.features without energy and tempo");
    EXPECT_THAT(made[0].config.data.features, ElementsAre("valence"));
}

TEST(AblationKinds, Pairs) {
    const StudyFolder folder;
    EXPECT_THAT(
        names_of(variants_of(folder, "leave_pairs_out = \"data.features\"\n")),
        ElementsAre("without energy and tempo", "without energy and valence", "without tempo and valence"));
    EXPECT_THAT(names_of(variants_of(folder, "leave_pairs_out = [\"valence\", \"energy\"]\n")),
                ElementsAre("without valence and energy"));
}

std::vector<std::string> subsets(const StudyFolder& folder, const std::string& count_and_seed) {
    std::string columns = "genre,a,b,c,d,e,f,g\n";
    for (int i = 0; i < 40; ++i) {
        columns += i % 2 ? "punk,1,2,3,4,5,6,7\n" : "funk,7,6,5,4,3,2,1\n";
    }
    folder.write("wide.csv", columns);
    const auto study = folder.load(
        "[data]\npath = \"wide.csv\"\nlabel = \"genre\"\n"
        "features = [\"a\", \"b\", \"c\", \"d\", \"e\", \"f\", \"g\"]\n"
        "[[ablation]]\nleave_subsets_out = { size = 3" +
        count_and_seed + " }\n");
    auto names = names_of(last_stage(study));
    names.erase(names.begin());
    return names;
}

TEST(AblationKinds, RandomSubsets) {
    const StudyFolder folder;
    const auto all = subsets(folder, "");
    EXPECT_THAT(all, SizeIs(35));
    EXPECT_EQ(all.front(), "without a, b and c");
    EXPECT_EQ(all.back(), "without e, f and g");
    const auto few = subsets(folder, ", count = 6, seed = 4");
    const auto more = subsets(folder, ", count = 35, seed = 4");
    ASSERT_THAT(few, SizeIs(6));
    EXPECT_TRUE(std::equal(few.begin(), few.end(), more.begin())) << "more subsets keep the first ones";
    EXPECT_THAT(more, ::testing::UnorderedElementsAreArray(all));
    EXPECT_NE(few, subsets(folder, ", count = 6, seed = 5"));
}

TEST(AblationKinds, KeepOneAndKeepOnly) {
    const StudyFolder folder;
    const auto made = variants_of(folder,
                                  "keep_one = \"data.features\"\n[[ablation]]\n"
                                  "keep_only = [\"valence\", \"energy\"]\nadd = \"explicit\"\n");
    EXPECT_THAT(names_of(made), ElementsAre("only energy", "only tempo", "only valence",
                                            "only valence and energy, with explicit"));
    EXPECT_THAT(made[1].config.data.features, ElementsAre("tempo"));
    EXPECT_THAT(made[3].config.data.features, ElementsAre("energy", "valence", "explicit"));
}

TEST(AblationKinds, CrossedFactors) {
    const StudyFolder folder;
    const auto made = variants_of(folder, R"(cross = [
    { leave_one_out = ["energy", "tempo"] },
    { sweep = { model.head_width = [8, "none"], model.pooling = ["cls", "mean"] } },
    { set = { train.epochs = 9 } },
]
)");
    ASSERT_THAT(made, SizeIs(8));
    EXPECT_EQ(made[0].name, "without energy, head width 8, pooling: cls, epochs 9");
    EXPECT_EQ(made[7].name, "without tempo, no hidden layer, pooling: mean, epochs 9");
    EXPECT_THAT(made[7].config.data.features, ElementsAre("energy", "valence"));
    EXPECT_EQ(made[7].config.train.epochs, 9);
    EXPECT_EQ(made[7].config.model.pooling, Pooling::mean);
}

TEST(AblationKinds, GroupsCrossedWithASweep) {
    const StudyFolder folder;
    EXPECT_THAT(names_of(variants_of(folder,
                                     "cross = [{ leave_groups_out = { sound = [\"energy\", \"tempo\"] } }, "
                                     "{ sweep = { model.head_width = [8, 16] } }]\n")),
                ElementsAre("without sound, head width 8", "without sound, head width 16"));
}

TEST(AblationKinds, FreeFormByName) {
    const StudyFolder folder;
    const auto made = variants_of(folder, R"(seeds = 3
[ablation.variants."small and slow"]
leave_out = "tempo"
set = { model.head_width = 8, train.learning_rate = 1e-5 }
[ablation.variants.wide]
set = { model.head_width = 512 }
)");
    EXPECT_THAT(names_of(made), ElementsAre("small and slow", "wide"));
    EXPECT_EQ(made[0].change,
              "data.features without tempo, model.head_width = 8, train.learning_rate = 1e-05");
    EXPECT_THAT(made[1].runs, SizeIs(3));
}

TEST(AblationKinds, NamesMayBeReplacedOneByOne) {
    const StudyFolder folder;
    EXPECT_THAT(names_of(variants_of(folder,
                                     "leave_one_out = \"data.features\"\nname = \"{} at all\"\n"
                                     "names = { \"without tempo\" = \"any speed\" }\n")),
                ElementsAre("without energy at all", "any speed", "without valence at all"));
}

TEST(AblationKinds, EncoderLayersOneByOne) {
    const StudyFolder folder;
    const auto made = variants_of(folder,
                                  "leave_one_out = \"model.kept_layers\"\n"
                                  "[model]\nnum_hidden_layers = 4\nkept_layers = [0, 2, 3]\n");
    EXPECT_THAT(names_of(made), ElementsAre("without layer 0", "without layer 2", "without layer 3"));
    EXPECT_THAT(made[1].config.model.kept_layers, ElementsAre(0, 3));
}

struct Refused {
    std::string name;
    std::string ablation;
    std::string message;
    std::string suggestion;
};

class RefusedAblation : public ::testing::TestWithParam<Refused> {};

TEST_P(RefusedAblation, IsExplained) {
    const StudyFolder folder;
    const auto diagnostics = folder.diagnostics(kDataSection + "[[ablation]]\n" + GetParam().ablation);
    ASSERT_THAT(diagnostics, SizeIs(1)) << (diagnostics.empty() ? "" : StudyError(diagnostics).what());
    EXPECT_THAT(diagnostics[0].message, HasSubstr(GetParam().message));
    EXPECT_EQ(diagnostics[0].suggestion, GetParam().suggestion);
    EXPECT_GT(diagnostics[0].line, 4);
}

std::string numbers_up_to(int last) {
    std::string values = "1";
    for (int i = 2; i <= last; ++i) {
        values += ", " + std::to_string(i);
    }
    return "[" + values + "]";
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, RefusedAblation,
    ::testing::Values(
        Refused{"group_of_no_feature", "leave_groups_out = { sound = [\"enrgy\"] }", "not in data.features",
                "energy"},
        Refused{"groups_without_names", "leave_groups_out = [\"energy\"]", "named groups", ""},
        Refused{"group_of_all", "leave_groups_out = { all = [\"energy\", \"tempo\", \"valence\"] }",
                "leaves no feature", ""},
        Refused{"subsets_of_all", "leave_subsets_out = { size = 3 }", "which leaves none", ""},
        Refused{"too_many_subsets", "leave_subsets_out = { size = 2, count = 4 }",
                "there are only 3 of 2 of 3 features", ""},
        Refused{"subsets_without_size", "leave_subsets_out = { count = 4 }", "size = 3", ""},
        Refused{"unknown_key_of_subsets", "leave_subsets_out = { size = 2, sed = 4 }", "unknown key 'sed'",
                "seed"},
        Refused{"kept_feature_is_not_there", "keep_only = \"tempi\"", "cannot be kept", "tempo"},
        Refused{"pairs_with_another", "leave_pairs_out = \"data.features\"\nset = { train.epochs = 2 }",
                "contradict each other", ""},
        Refused{"cross_of_one", "cross = [{ leave_one_out = \"data.features\" }]", "at least two", ""},
        Refused{"unknown_key_in_cross",
                "cross = [{ leave_one_ot = \"data.features\" }, { add = \"explicit\" }]",
                "unknown key 'leave_one_ot'", "leave_one_out"},
        Refused{"unknown_key_of_a_variant", "variants = { x = { seeds = 3, add = \"explicit\" } }",
                "unknown key 'seeds' of variant 'x'", ""},
        Refused{"name_of_no_variant",
                "leave_one_out = \"data.features\"\nnames = { \"without enrgy\" = \"quiet\" }",
                "no variant of this ablation is named 'without enrgy'", "without energy"},
        Refused{"the_only_layer", "leave_one_out = \"model.kept_layers\"\n[model]\nnum_hidden_layers = 1",
                "leaves none", ""},
        Refused{"crossed_too_often",
                "cross = [{ sweep = { train.epochs = " + numbers_up_to(400) +
                    " } }, { sweep = { train.batch_size = " + numbers_up_to(400) + " } }]",
                "the factor train.batch_size makes 400 x 400 variants; expected at most 100000", ""}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace orchestrate::testing
