// Stages after the search and the ablation: what they start from, and whose rows they go on with.
#include <gmock/gmock.h>

#include "experiments/plan.h"
#include "study_files.h"

namespace orchestrate::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const std::string kSearch =
    "[search]\ntrials = 2\nseed = 1\n[search.space]\ntrain.learning_rate = { uniform = [0.001, 0.1] }\n";
const std::string kRows = R"([[ablation]]
leave_one_out = "data.features"
[stages.widths]
rows = "top 2 of ablation"
[[ablation]]
stage = "widths"
sweep = { model.head_width = [8, 16] }
)";

TEST(Stages, GoOnWithRowsOfAnEarlierOne) {
    const StudyFolder folder;
    const auto study = folder.load(kDataSection + kSearch + kRows);
    ASSERT_THAT(study.stages, SizeIs(3));
    const auto& widths = study.stages[2];
    EXPECT_EQ(widths.name, "widths");
    EXPECT_EQ(widths.baseline_stage, "search");
    EXPECT_EQ(widths.rows_stage, "ablation");
    EXPECT_EQ(widths.rows_by.part, MetricPart::validation);
    EXPECT_THAT(names_of(study.expand(study.stages[1], study.base)),
                ElementsAre("baseline", "without energy", "without tempo", "without valence"));
    const auto ablations = study.expand(study.stages[1], study.base);
    const auto variants = study.expand(widths, study.base, {ablations[2], ablations[3]});
    EXPECT_THAT(names_of(variants),
                ElementsAre("baseline", "without tempo", "without valence", "without tempo, head width 8",
                            "without tempo, head width 16", "without valence, head width 8",
                            "without valence, head width 16"));
    EXPECT_EQ(variants[1].config, ablations[2].config) << "its jobs are shared";
    EXPECT_THAT(variants[3].config.data.features, ElementsAre("energy", "valence"));
    EXPECT_EQ(variants[3].config.model.head_width, 8);
    EXPECT_THAT(names_of(study.expand(widths, study.base, {})), ElementsAre("baseline"));
    EXPECT_THAT(render_plan(study), AllOf(HasSubstr("goes on with the top 2 rows of ablation"),
                                          HasSubstr("stage widths: 7 variants")));
    EXPECT_THAT(study.warnings, IsEmpty());
}

TEST(Stages, StartFromTheFileOrTheBestOfAnother) {
    const StudyFolder folder;
    const auto study = folder.load(kDataSection + kSearch + R"([stages.plain]
baseline = "the file"
[stages.after]
baseline = "best of plain by validation accuracy"
[[ablation]]
stage = "plain"
add = "explicit"
[[ablation]]
stage = "after"
add = "duration_ms"
)");
    ASSERT_THAT(study.stages, SizeIs(3)) << "no stage without ablations";
    EXPECT_EQ(study.stages[1].baseline_stage, "");
    EXPECT_EQ(study.stages[2].baseline_stage, "plain");
    EXPECT_EQ(study.stages[2].select_by.name, "accuracy");
    EXPECT_THAT(names_of(study.expand(study.stages[2], study.base)),
                ElementsAre("baseline", "with duration"));
}

TEST(Stages, ChoosingByWhatIsReportedIsWarnedOf) {
    const StudyFolder folder;
    const auto by_test = folder.load(kDataSection + kSearch, {"search.select_by=test macro_f1"});
    ASSERT_THAT(by_test.warnings, SizeIs(1));
    EXPECT_THAT(by_test.warnings[0].message,
                AllOf(HasSubstr("the best trial would be chosen by the test part"),
                      HasSubstr("chance was chosen too")));
    EXPECT_EQ(by_test.stages[0].select_by.part, MetricPart::test);
    std::string rows = kRows;
    rows.replace(rows.find("of ablation\""), 11, "of ablation by test accuracy");
    const auto rows_by_test = folder.load(kDataSection + rows);
    ASSERT_THAT(rows_by_test.warnings, SizeIs(1));
    EXPECT_THAT(rows_by_test.warnings[0].message, HasSubstr("the rows of stage 'widths'"));
    EXPECT_EQ(rows_by_test.warnings[0].line, 8);
}

struct Refused {
    std::string name;
    std::string toml;
    std::string message;
    std::string suggestion;
};

class RefusedStage : public ::testing::TestWithParam<Refused> {};

TEST_P(RefusedStage, IsExplained) {
    const StudyFolder folder;
    const auto diagnostics = folder.diagnostics(kDataSection + GetParam().toml);
    ASSERT_THAT(diagnostics, SizeIs(1)) << (diagnostics.empty() ? "" : StudyError(diagnostics).what());
    EXPECT_THAT(diagnostics[0].message, HasSubstr(GetParam().message));
    EXPECT_EQ(diagnostics[0].suggestion, GetParam().suggestion);
    EXPECT_GT(diagnostics[0].line, 4);
}

std::string with_entry(const std::string& stage, const std::string& keys) {
    return "[[ablation]]\nadd = \"explicit\"\n[stages." + stage + "]\n" + keys +
           "\n[[ablation]]\nstage = \"" + stage + "\"\nadd = \"duration_ms\"\n";
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, RefusedStage,
    ::testing::Values(
        Refused{"best_of_nothing", with_entry("x", "baseline = \"best of serach\"") + kSearch,
                "there is no stage 'serach'; expected an earlier one: search or ablation", "search"},
        Refused{"best_of_a_later_one",
                with_entry("x", "baseline = \"best of y\"") +
                    "[stages.y]\n[[ablation]]\nstage = \"y\"\nset = { train.epochs = 9 }\n",
                "stage 'y' comes later", ""},
        Refused{"best_of_itself", with_entry("x", "baseline = \"best of x\""), "stage 'x' comes later", ""},
        Refused{"unclear_choice", with_entry("x", "rows = \"some of ablation\""), "top 3 of ablation", ""},
        Refused{"rows_of_a_search", with_entry("x", "rows = \"top 3 of search\"") + kSearch,
                "has no baseline", ""},
        Refused{"unknown_key", with_entry("x", "base = \"the file\""), "unknown key 'base'", "baseline"},
        Refused{"taken_name", "[stages.ablation]\n[[ablation]]\nadd = \"explicit\"\n",
                "there is a stage 'ablation'", ""},
        Refused{"no_ablation", "[[ablation]]\nadd = \"explicit\"\n[stages.x]\n", "stage 'x' has no ablation",
                ""},
        Refused{"unknown_stage",
                with_entry("widths", "") + "[[ablation]]\nstage = \"width\"\nadd = \"explicit\"\n",
                "there is no stage 'width' for ablations", "widths"},
        Refused{"contradiction",
                with_entry("x", "rows = \"top 1 of ablation\"") +
                    "[[ablation]]\nstage = \"x\"\nset = { model.num_attention_heads = 5 }\n",
                "does not divide", ""}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace orchestrate::testing
