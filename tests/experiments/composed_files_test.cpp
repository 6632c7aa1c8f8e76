// Studies of several files, with variables, and the canonical form that holds all of it.
#include <cstdlib>

#include <gmock/gmock.h>

#include "study_files.h"

namespace orchestrate::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Environment {
  public:
    Environment(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
    ~Environment() { unsetenv(name_); }
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;

  private:
    const char* name_;
};

TEST(Include, PutsAFileOnTopOfOthers) {
    const StudyFolder folder;
    std::filesystem::create_directory(folder.path() / "lab");
    std::filesystem::copy_file(folder.path() / "tracks.csv", folder.path() / "lab/tracks.csv");
    folder.write("lab/data.toml",
                 kDataSection + "[train]\nepochs = 5\nbatch_size = 8\n[[ablation]]\nadd = \"explicit\"\n");
    folder.write("lab/small.toml", "[model]\nhidden_size = 16\nnum_hidden_layers = 1\n[train]\nepochs = 7\n");
    const auto study = folder.load(
        "include = [\"lab/data.toml\", \"lab/small.toml\"]\n[train]\nbatch_size = 4\n[[ablation]]\n"
        "leave_out = \"tempo\"\n",
        {"model.hidden_size=32"});
    EXPECT_EQ(study.base.train.epochs, 7);
    EXPECT_EQ(study.base.train.batch_size, 4);
    EXPECT_EQ(study.base.model.hidden_size, 32);
    EXPECT_EQ(study.paths.data, (folder.path() / "lab/tracks.csv").string())
        << "relative to the file that names it";
    EXPECT_THAT(names_of(last_stage(study)), ElementsAre("baseline", "with explicit", "without tempo"));
    EXPECT_THAT(study.toml, ::testing::Not(HasSubstr("include")));
}

TEST(Include, MistakesPointIntoTheFileThatHasThem) {
    const StudyFolder folder;
    folder.write("other.toml", "[train]\nepochs = 3\nbatch_sise = 8\n");
    const auto diagnostics = folder.diagnostics("include = \"other.toml\"\n" + kDataSection);
    ASSERT_THAT(diagnostics, SizeIs(1));
    EXPECT_EQ(diagnostics[0].file, (folder.path() / "other.toml").string());
    EXPECT_EQ(diagnostics[0].line, 3);
    EXPECT_EQ(diagnostics[0].source_line, "batch_sise = 8");
}

TEST(Include, RefusesMissingFilesAndCircles) {
    const StudyFolder folder;
    const auto missing = folder.diagnostics("include = [\"nowhere.toml\"]\n" + kDataSection);
    ASSERT_THAT(missing, SizeIs(1));
    EXPECT_THAT(missing[0].message, HasSubstr("nowhere.toml"));
    EXPECT_EQ(missing[0].line, 1);
    folder.write("a.toml", "include = \"b.toml\"\n");
    folder.write("b.toml", "include = \"a.toml\"\n");
    const auto circle = folder.diagnostics("include = \"a.toml\"\n" + kDataSection);
    ASSERT_THAT(circle, SizeIs(1));
    EXPECT_THAT(circle[0].message, HasSubstr("includes itself"));
    EXPECT_EQ(circle[0].file, (folder.path() / "b.toml").string());
}

TEST(Variables, StandForValuesAndPartsOfTexts) {
    const StudyFolder folder;
    const std::string toml = kDataSection + R"([variables]
width = 48
suffix = "wide"
widths = [8, 16]
[study]
name = "${suffix}-${width} for $${HOME}"
[model]
hidden_size = "${width}"
[[ablation]]
sweep = { model.head_width = "${widths}" }
)";
    const auto study = folder.load(toml);
    EXPECT_EQ(study.name, "wide-48 for ${HOME}");
    EXPECT_EQ(study.base.model.hidden_size, 48);
    EXPECT_THAT(names_of(last_stage(study)), ElementsAre("baseline", "head width 8", "head width 16"));
    EXPECT_EQ(folder.load(toml, {"variables.width=64"}).base.model.hidden_size, 64);
}

TEST(Variables, ReadTheEnvironmentOnlyWhereItIsNamed) {
    const StudyFolder folder;
    const std::string toml = kDataSection + R"([variables]
epochs = { environment = "ORCHESTRATE_TEST_EPOCHS", default = 4 }
[train]
epochs = "${epochs}"
)";
    EXPECT_EQ(folder.load(toml).base.train.epochs, 4);
    {
        const Environment nine("ORCHESTRATE_TEST_EPOCHS", "9");
        EXPECT_EQ(folder.load(toml).base.train.epochs, 9);
    }
    const auto unset = folder.diagnostics(
        kDataSection +
        "[variables]\nx = { environment = \"ORCHESTRATE_TEST_UNSET\" }\n[study]\nname = \"${x}\"\n");
    ASSERT_THAT(unset, SizeIs(1));
    EXPECT_THAT(unset[0].message, HasSubstr("ORCHESTRATE_TEST_UNSET is not set"));
    EXPECT_EQ(unset[0].line, 6);
}

TEST(Variables, UnknownAndUnusedOnesAreNamed) {
    const StudyFolder folder;
    const auto unknown =
        folder.diagnostics(kDataSection + "[variables]\nwidth = 3\n[train]\nepochs = \"${wdth}\"\n");
    ASSERT_THAT(unknown, SizeIs(2)) << "and the warning that width is used nowhere";
    EXPECT_EQ(unknown[1].suggestion, "width");
    EXPECT_EQ(unknown[1].line, 8);
    const std::string used = kDataSection + "[variables]\nwidth = 3\n[train]\nepochs = \"${width}\"\n";
    const auto mistyped = folder.diagnostics(used, {"variables.widht=4"});
    ASSERT_THAT(mistyped, SizeIs(1));
    EXPECT_EQ(mistyped[0].suggestion, "width");
    EXPECT_EQ(mistyped[0].file, "command line");
    const auto study = folder.load(kDataSection + "[variables]\nwidth = 3\n");
    ASSERT_THAT(study.warnings, SizeIs(1));
    EXPECT_THAT(study.warnings[0].message, HasSubstr("'width' is used nowhere"));
}

TEST(CanonicalForm, NamesTheFolderOfWeightsWhereverItStands) {
    const StudyFolder folder;
    write_small_model(folder, "model");
    const auto study = folder.load(kDataSection +
                                   "[model]\npretrained = \"model\"\n[[ablation]]\n"
                                   "sweep = { model.pretrained = [\"none\", \"model\"] }\n");
    std::filesystem::create_directory(folder.path() / "elsewhere");
    const auto again = load_study(folder.write("elsewhere/copy.toml", study.canonical_toml), {});
    EXPECT_EQ(names_of(last_stage(again)), names_of(last_stage(study)));
    EXPECT_EQ(again.paths, study.paths);
    EXPECT_EQ(last_stage(again)[1].config, last_stage(study)[1].config);
}

TEST(CanonicalForm, ReadsInAnyFolderAndMeansTheSame) {
    const StudyFolder folder;
    folder.write("other.toml", "[train]\nepochs = 3\n");
    const auto study = folder.load(
        "include = \"other.toml\"\n[variables]\nb = 4\n" + kDataSection + "[train]\nbatch_size = \"${b}\"\n",
        {"study.seeds=[3, 4]"});
    std::filesystem::create_directory(folder.path() / "elsewhere");
    const auto again = load_study(folder.write("elsewhere/copy.toml", study.canonical_toml), {});
    EXPECT_EQ(again.base, study.base);
    EXPECT_EQ(again.paths, study.paths);
    EXPECT_EQ(again.canonical_toml, study.canonical_toml);
    EXPECT_EQ(last_stage(again)[0].runs, last_stage(study)[0].runs);
    EXPECT_THAT(again.warnings, IsEmpty());
}

TEST(Names, OfDirectoriesThatAreNoUtf8AreRefusedInWords) {
    const StudyFolder folder;
    const auto below = folder.path() / "n\xFF";
    std::filesystem::create_directory(below);
    std::ofstream(below / "t.toml") << "[command]\nrun = [\"true\"]\nmetrics = [\"a\"]\n";
    try {
        load_study(below / "t.toml", {});
        FAIL() << "expected StudyError";
    } catch (const StudyError& error) {
        EXPECT_THAT(
            error.what(),
            HasSubstr("n\\xFF/t.toml', is not UTF-8; expected directories and a file whose names are"));
    }
}

}  // namespace
}  // namespace orchestrate::testing
