// What differs between two studies, variant by variant.
#include "experiments/study_diff.h"

#include <gmock/gmock.h>

#include "study_files.h"

namespace orchestrate::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

using Kind = VariantDifference::Kind;

const std::string kStudy = kDataSection + R"([study]
seeds = 2
[[ablation]]
leave_one_out = ["energy", "tempo"]
[[ablation]]
set = { model.head_width = 16 }
)";

StudyRecord record(const StudyFolder& folder, const std::string& toml,
                   const std::vector<std::string>& overrides = {}) {
    return record_of(folder.load(toml, overrides));
}

std::vector<std::string> kinds(const std::vector<VariantDifference>& differences) {
    const std::vector<std::string> words = {"unchanged", "changed", "new", "gone"};
    std::vector<std::string> texts;
    for (const auto& difference : differences) {
        texts.push_back(difference.name + " " + words[static_cast<std::size_t>(difference.kind)]);
    }
    return texts;
}

TEST(StudyDifference, NamesNewChangedGoneAndUnchangedVariants) {
    const StudyFolder folder;
    const auto before = record(folder, kStudy);
    const auto after = record(folder, kDataSection + R"([study]
seeds = 2
[[ablation]]
leave_one_out = ["energy", "valence"]
[[ablation]]
set = { model.head_width = 16, train.epochs = 5 }
name = "head width 16"
)");
    EXPECT_THAT(kinds(compare(before, after)),
                ::testing::ElementsAre("baseline unchanged", "without energy unchanged",
                                       "without valence new", "head width 16 changed", "without tempo gone"));
    EXPECT_THAT(render_difference(before, after),
                AllOf(HasSubstr("+ new       ablation: without valence (2 new jobs)\n"),
                      HasSubstr("~ changed   ablation: head width 16: train.epochs 3 -> 5 (2 new jobs)\n"),
                      HasSubstr("- gone      ablation: without tempo (2 jobs)\n"),
                      HasSubstr("1 variant new, 1 changed, 1 gone, 2 unchanged; 4 jobs to run")));
}

TEST(StudyDifference, JobsThatHaveAResultAreNotCalledNew) {
    const StudyFolder folder;
    const auto before = record(folder, kDataSection);
    const auto after = record(folder, kStudy);
    std::set<std::string> done;
    for (const auto& row : after.variants) {
        done.insert(row.identities.begin(), row.identities.end());
    }
    const std::string all_done = render_difference(before, after, done);
    EXPECT_THAT(all_done,
                AllOf(HasSubstr("without energy (its 2 jobs are done already)\n"),
                      HasSubstr("; 0 jobs to run that were not there before\n"), Not(HasSubstr("new job"))));
    done.erase(after.variants[1].identities[0]);
    EXPECT_THAT(render_difference(before, after, done),
                AllOf(HasSubstr("without energy (1 new job, 1 is done already)\n"),
                      HasSubstr("; 1 job to run that was not there before\n")));
}

TEST(StudyDifference, SaysWhenNothingDiffers) {
    const StudyFolder folder;
    EXPECT_EQ(render_difference(record(folder, kStudy), record(folder, "# a remark\n" + kStudy)),
              "nothing differs: 4 variants\n");
}

TEST(StudyDifference, MoreSeedsKeepTheJobsThatAreThere) {
    const StudyFolder folder;
    const auto differences = compare(record(folder, kStudy), record(folder, kStudy, {"study.seeds=3"}));
    for (const auto& difference : differences) {
        EXPECT_EQ(difference.kind, Kind::changed);
        EXPECT_EQ(difference.kept_jobs, 2U);
        EXPECT_EQ(difference.jobs, 1U);
        EXPECT_TRUE(difference.changes.empty());
    }
    EXPECT_THAT(render_difference(record(folder, kStudy), record(folder, kStudy, {"study.seeds=3"})),
                HasSubstr("other seeds, folds or splits (1 new job, 2 kept)"));
}

TEST(StudyDifference, SaysOnceWhatChangedEverywhere) {
    const StudyFolder folder;
    const auto before = record(folder, kStudy);
    std::ofstream(folder.path() / "tracks.csv", std::ios::app) << "id99,funk,0.5,90,0.4,1000,True\n";
    std::filesystem::create_directory(folder.path() / "words");
    folder.write("words/vocab.json", "{}");
    folder.write("words/merges.txt", "#version: 0.2\n");
    const auto after = record(folder, kStudy, {"tokenizer.vocabulary=" + (folder.path() / "words").string()});
    const std::string text = render_difference(before, after);
    EXPECT_THAT(text, HasSubstr("everywhere: the content of the data file (" +
                                before.variants[0].config["data"]["sha256"].get<std::string>().substr(0, 8)));
    EXPECT_THAT(text, HasSubstr("everywhere: the vocabulary (none -> "));
    EXPECT_THAT(text, HasSubstr("~ changed   ablation: without energy (2 new jobs)\n"));
}

TEST(StudyDifference, TellsDefaultsAndArithmeticFromWhatThePersonChanged) {
    const StudyFolder folder;
    const auto after = record(folder, kStudy, {"train.batch_size=16"});
    auto before = after;
    before.given = given_fields(folder.load(kStudy).toml);
    for (auto& row : before.variants) {
        row.config["train"]["warmup_ratio"] = 0.5;
        row.config["train"]["batch_size"] = 32;
        row.config["numerics_version"] = 1;
        row.config["model"].erase("pooling");
        row.identities = {"old"};
    }
    EXPECT_THAT(render_difference(before, after),
                AllOf(HasSubstr("everywhere: the default of train.warmup_ratio 0.5 -> 0.06\n"),
                      HasSubstr("everywhere: train.batch_size 32 -> 16\n"),
                      HasSubstr("everywhere: model.pooling = cls, which an older version did not have\n"),
                      HasSubstr("numerics_version 1 -> ")));
}

TEST(StudyDifference, SettingsOfTheDataThatAreUnsetAreShownAsTheirDefault) {
    const StudyFolder folder;
    const auto before = record(folder, kStudy);
    auto after = before;
    for (auto& row : after.variants) {
        row.config["data"]["missing"] = "median";
        row.identities = {"new"};
    }
    EXPECT_THAT(render_difference(before, after), HasSubstr("everywhere: data.missing refuse -> median\n"));
    EXPECT_THAT(render_difference(after, before), HasSubstr("everywhere: data.missing median -> refuse\n"));
}

TEST(StudyDifference, SaysWhatBecameOfAList) {
    const StudyFolder folder;
    EXPECT_THAT(render_difference(record(folder, kStudy),
                                  record(folder, kStudy, {"data.features=['tempo', 'energy', 'explicit']"})),
                HasSubstr("data.features without valence, with explicit"));
    EXPECT_THAT(render_difference(record(folder, kStudy),
                                  record(folder, kStudy, {"data.features=['tempo', 'energy', 'valence']"})),
                AllOf(HasSubstr("data.features in another order"), Not(HasSubstr("nothing differs"))));
}

TEST(StudyDifference, TakesTheBaselineOfALaterStageWhereItIsKnown) {
    const StudyFolder folder;
    const auto study = folder.load(kDataSection + R"([search]
trials = 2
[search.space]
train.epochs = [7, 9]
[[ablation]]
leave_out = "energy"
)");
    JobConfig best = study.base;
    best.train.epochs = 9;
    const auto record = record_of(
        study, {{study.expand(study.stages[0], study.base)}, {study.expand(study.stages[1], best)}});
    EXPECT_EQ(record.variants.back().name, "without energy");
    EXPECT_EQ(record.variants.back().config["train"]["epochs"], 9);
}

}  // namespace
}  // namespace orchestrate::testing
