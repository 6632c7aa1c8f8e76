// Studies whose jobs are commands: what [command] and [parameters] make, and what is said about errors in them.
#include <gmock/gmock.h>

#include "common/base/sha256.h"
#include "experiments/plan.h"
#include "experiments/tree.h"
#include "study_files.h"

namespace orchestrate::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const std::string kCommand = R"([command]
run = ["python3", "train.py", "--rate", "{learning_rate}"]
files = ["train.py"]
metrics = ["accuracy", { name = "loss", goal = "min" }]
)";

const std::string kParameters = R"([parameters]
learning_rate = 0.1
layers = [64, 32]
name = "plain"
fast = true
optimizer = { kind = "adam", steps = 3 }
)";

class CommandStudy : public ::testing::Test {
  protected:
    CommandStudy() { folder_.write("train.py", "print(1)\n"); }

    Study load(const std::string& rest, const std::vector<std::string>& overrides = {}) const {
        return folder_.load(kCommand + kParameters + rest, overrides);
    }

    std::vector<Variant> variants_of(const std::string& ablation) const {
        auto variants = last_stage(load("[[ablation]]\n" + ablation));
        variants.erase(variants.begin());
        return variants;
    }

    static const Json& parameters(const Variant& variant) { return variant.config.command->parameters; }

    StudyFolder folder_;
};

TEST_F(CommandStudy, IsAllThatItsJobsAre) {
    const auto study = load("");
    ASSERT_TRUE(study.is_of_command());
    EXPECT_THAT(study.warnings, IsEmpty());
    EXPECT_THAT(study.base.command->run, ElementsAre("python3", "train.py", "--rate", "{learning_rate}"));
    EXPECT_EQ(study.base.command->parameters.dump(),
              R"({"fast":true,"layers":[64,32],"learning_rate":0.1,"name":"plain",)"
              R"("optimizer":{"kind":"adam","steps":3}})");
    EXPECT_THAT(study.base.command->files, ElementsAre(CommandFile{"train.py", sha256_hex("print(1)\n")}));
    EXPECT_EQ(study.paths.command_folder, folder_.path().string());
    const auto variants = last_stage(study);
    ASSERT_THAT(variants, SizeIs(1));
    EXPECT_THAT(variants[0].resources.metrics, ElementsAre("test accuracy", "test loss"));
    JobConfig plain;
    plain.command = study.base.command;
    EXPECT_EQ(study.base, plain) << "nothing of training is a part of it";
}

TEST_F(CommandStudy, FilesOfAnotherContentAreOtherJobs) {
    const std::string before = job_identity(load("").base);
    EXPECT_EQ(job_identity(load("").base), before);
    folder_.write("train.py", "print(2)\n");
    EXPECT_NE(job_identity(load("").base), before);
}

TEST_F(CommandStudy, ParametersAreSweptAndSet) {
    const auto swept = variants_of("sweep = { \"parameters.learning_rate\" = [1, 0.01] }\n");
    EXPECT_THAT(names_of(swept), ElementsAre("learning rate 1.0", "learning rate 0.01"));
    EXPECT_EQ(swept[0].change, "parameters.learning_rate = 1.0");
    EXPECT_EQ(parameters(swept[0])["learning_rate"].dump(), "1.0");  // a number, as in the file
    const auto set =
        variants_of("set = { name = \"other\", fast = false, optimizer.steps = 4, layers = [8] }\n");
    ASSERT_THAT(set, SizeIs(1));
    EXPECT_EQ(parameters(set[0]).dump(), R"({"fast":false,"layers":[8],"learning_rate":0.1,"name":"other",)"
                                         R"("optimizer":{"kind":"adam","steps":4}})");
}

TEST_F(CommandStudy, ItemsOfListsAreLeftOut) {
    const auto without = variants_of("leave_one_out = \"parameters.layers\"\n");
    EXPECT_THAT(names_of(without), ElementsAre("without 64", "without 32"));
    EXPECT_EQ(parameters(without[0])["layers"].dump(), "[32]");
    const auto only = variants_of("keep_one = \"layers\"\n");
    EXPECT_THAT(names_of(only), ElementsAre("only 64", "only 32"));
    EXPECT_EQ(parameters(only[0])["layers"].dump(), "[64]");
}

TEST_F(CommandStudy, CrossesAndNamedVariants) {
    EXPECT_THAT(
        names_of(variants_of("cross = [{ leave_one_out = \"layers\" }, { sweep = { fast = [false] } }]\n")),
        ElementsAre("without 64, fast false", "without 32, fast false"));
    EXPECT_THAT(names_of(variants_of("variants = { small = { set = { layers = [1] } } }\n")),
                ElementsAre("small"));
}

TEST_F(CommandStudy, IsSearchedByItsOwnMetrics) {
    const auto study = load(R"([search]
trials = 3
select_by = "validation loss"
[search.space]
learning_rate = { log_uniform = [0.01, 1.0] }
optimizer.steps = { integer = [1, 9] }
[[ablation]]
set = { fast = false }
)");
    ASSERT_THAT(study.stages, SizeIs(2));
    EXPECT_EQ(to_string(study.stages[1].select_by), "validation loss");
    EXPECT_EQ(study.stages[1].goal_of("loss"), MetricGoal::min);
    const auto trials = study.expand(study.stages[0], study.base);
    EXPECT_THAT(trials, SizeIs(3));
    EXPECT_THAT(trials[0].resources.metrics, ElementsAre("test accuracy", "test loss", "validation loss"));
    EXPECT_NE(job_identity(trials[0].config), job_identity(trials[1].config));
    EXPECT_EQ(best_variant({0.5, 0.2, std::nullopt}, MetricGoal::min), 1U);
    EXPECT_EQ(best_variant({0.5, 0.2, std::nullopt}, MetricGoal::max), 0U);
}

TEST_F(CommandStudy, LaterStagesChooseByThem) {
    const auto study = load(R"([[ablation]]
sweep = { learning_rate = [1.0, 2.0] }
[stages.deeper]
rows = "top 1 of ablation by validation loss"
[[ablation]]
stage = "deeper"
set = { fast = false }
)");
    EXPECT_EQ(to_string(study.stages[1].rows_by), "validation loss");
}

TEST_F(CommandStudy, TheCommandLineChangesParameters) {
    const auto study = load("", {"parameters.learning_rate=2", "parameters.name=better"});
    EXPECT_EQ(study.base.command->parameters["learning_rate"].dump(), "2.0");
    EXPECT_EQ(study.base.command->parameters["name"], "better");
    // Stored as one file, it is the same study.
    const std::string before = job_identity(study.base);
    folder_.write("canonical.toml", study.canonical_toml);
    EXPECT_EQ(job_identity(load_study(folder_.path() / "canonical.toml", {}).base), before);
}

TEST_F(CommandStudy, IsPlannedAndDrawn) {
    const auto study = load("[[ablation]]\nsweep = { learning_rate = [1.0, 2.0] }\n");
    EXPECT_THAT(render_plan(study),
                ::testing::AllOf(HasSubstr("command: python3 train.py --rate {learning_rate}\n"),
                                 HasSubstr("metrics: accuracy, loss (low)"), HasSubstr("3 jobs in all")));
    EXPECT_THAT(render_tree(study), HasSubstr("learning rate 2.0"));
}

TEST_F(CommandStudy, WarnsOfAScriptThatIsNotNamed) {
    const auto study = folder_.load("[command]\nrun = [\"sh\", \"train.py\"]\nmetrics = [\"x\"]\n");
    ASSERT_THAT(study.warnings, SizeIs(1));
    EXPECT_THAT(study.warnings[0].message, HasSubstr("'train.py' is not among command.files"));
}

struct InvalidCommand {
    const char* name;
    std::string toml;  // behind kCommand and kParameters, or all of it if it begins with [command]
    const char* message;
    const char* suggestion;
};

void PrintTo(const InvalidCommand& invalid, std::ostream* out) {
    *out << invalid.name;
}

class InvalidCommandLine : public ::testing::TestWithParam<InvalidCommand> {};

TEST_P(InvalidCommandLine, IsExplained) {
    const StudyFolder folder;
    folder.write("train.py", "print(1)\n");
    const auto& [name, toml, message, suggestion] = GetParam();
    const bool is_whole = toml.rfind("[command]", 0) == 0;
    const auto diagnostics = folder.diagnostics(is_whole ? toml : kCommand + kParameters + toml);
    ASSERT_THAT(diagnostics, ::testing::Not(IsEmpty()));
    EXPECT_THAT(diagnostics[0].message, HasSubstr(message));
    EXPECT_EQ(diagnostics[0].suggestion, suggestion);
    EXPECT_GT(diagnostics[0].line, 0);
}

INSTANTIATE_TEST_SUITE_P(
    CommandStudy, InvalidCommandLine,
    ::testing::Values(
        InvalidCommand{"parameter_in_a_sweep", "[[ablation]]\nsweep = { learning_rat = [1.0] }\n",
                       "unknown parameter 'learning_rat'", "learning_rate"},
        InvalidCommand{"whole_name", "[[ablation]]\nset = { \"parameters.nam\" = \"x\" }\n",
                       "unknown parameter 'parameters.nam'", "parameters.name"},
        InvalidCommand{"field_of_training", "[[ablation]]\nset = { \"train.epochs\" = 3 }\n",
                       "unknown parameter 'train.epochs'", ""},
        InvalidCommand{"in_the_space", "[search]\n[search.space]\nlearning_rte = [0.1]\n",
                       "unknown parameter 'learning_rte'", "learning_rate"},
        InvalidCommand{"type", "[[ablation]]\nset = { \"optimizer.steps\" = 0.5 }\n",
                       "cannot be the number 0.5; expected an integer, as 3 in [parameters] is", ""},
        InvalidCommand{"list_type", "[[ablation]]\nset = { layers = [\"a\"] }\n",
                       "expected a list of integers", ""},
        InvalidCommand{"no_list", "[[ablation]]\nleave_one_out = \"name\"\n",
                       "expected the name of a parameter that is a list", ""},
        InvalidCommand{"features", "[[ablation]]\nleave_pairs_out = \"data.features\"\n",
                       "leave_pairs_out is of data.features, which a command has not", ""},
        InvalidCommand{"section_of_training", "[train]\nepochs = 3\n",
                       "train.epochs is of the training that is built in", ""},
        InvalidCommand{"metric",
                       "[search]\nselect_by = \"validation los\"\n[search.space]\nfast = [true, false]\n",
                       "there is no metric 'los' in command.metrics; expected accuracy or loss", "loss"},
        InvalidCommand{
            "stage_metric",
            "[[ablation]]\nset = { fast = false }\n[stages.more]\nrows = \"top 1 of ablation by test "
            "acuracy\"\n[[ablation]]\nstage = \"more\"\nset = { name = \"x\" }\n",
            "there is no metric 'acuracy'", "accuracy"},
        InvalidCommand{"rungs", "[search]\nrungs = [1, 3]\n[search.space]\nfast = [true, false]\n",
                       "search.rungs is of the training that is built in", ""},
        InvalidCommand{"least_epochs", "[search]\nmin_epochs = 1\n[search.space]\nfast = [true, false]\n",
                       "search.min_epochs is of the training that is built in", ""},
        InvalidCommand{"ensemble",
                       "[[ablation]]\nset = { fast = false }\n[[ensemble]]\nmembers = [\"baseline\"]\n",
                       "an ensemble combines predicted classes, and a command reports none", ""},
        InvalidCommand{"no_run", "[command]\nmetrics = [\"x\"]\n", "command.run is not set", ""},
        InvalidCommand{"no_metrics", "[command]\nrun = [\"true\"]\n", "command.metrics is not set", ""},
        InvalidCommand{"unknown_key", "[command]\nrun = [\"true\"]\nmetrics = [\"x\"]\nmetric = [\"x\"]\n",
                       "unknown key 'metric' in [command]", "metrics"},
        InvalidCommand{"name_in_braces",
                       "[command]\nrun = [\"sh\", \"{rat}\"]\nmetrics = [\"x\"]\n[parameters]\nrate = 1\n",
                       "names {rat}, which is no parameter", "rate"},
        InvalidCommand{"open_brace", "[command]\nrun = [\"sh\", \"{rate\"]\nmetrics = [\"x\"]\n",
                       "opens a brace that is not closed", ""},
        InvalidCommand{"missing_file",
                       "[command]\nrun = [\"true\"]\nmetrics = [\"x\"]\nfiles = [\"no.py\"]\n", "no.py", ""},
        InvalidCommand{"absolute_file",
                       "[command]\nrun = [\"true\"]\nmetrics = [\"x\"]\nfiles = [\"/etc/passwd\"]\n",
                       "expected a path from command.folder", ""},
        InvalidCommand{"missing_folder",
                       "[command]\nrun = [\"true\"]\nmetrics = [\"x\"]\nfolder = \"nowhere\"\n",
                       "which is no folder", ""},
        InvalidCommand{"goal", "[command]\nrun = [\"true\"]\nmetrics = [{ name = \"x\", goal = \"up\" }]\n",
                       "goal cannot be the text 'up'", ""},
        InvalidCommand{"metric_twice", "[command]\nrun = [\"true\"]\nmetrics = [\"x\", \"x\"]\n",
                       "listed twice", ""},
        InvalidCommand{"parameter_name",
                       "[command]\nrun = [\"true\"]\nmetrics = [\"x\"]\n[parameters]\n\"a.b\" = 1\n",
                       "a parameter cannot be named 'a.b'", ""},
        InvalidCommand{"parameter_seed",
                       "[command]\nrun = [\"true\"]\nmetrics = [\"x\"]\n[parameters]\nseed = 1\n",
                       "{seed} stands for the job's own", ""},
        InvalidCommand{"parameter_of_lists",
                       "[command]\nrun = [\"true\"]\nmetrics = [\"x\"]\n[parameters]\npairs = [[1, 2]]\n",
                       "expected true or false, a number, a text, a date", ""},
        InvalidCommand{"parameter_infinite",
                       "[command]\nrun = [\"true\"]\nmetrics = [\"x\"]\n[parameters]\nrate = inf\n",
                       "a finite number", ""}),
    [](const auto& found) { return std::string(found.param.name); });

TEST(InvalidCommands, OfTheCommandLine) {
    const StudyFolder folder;
    folder.write("train.py", "print(1)\n");
    const auto unknown = folder.diagnostics(kCommand + kParameters, {"parameters.learning_rat=1.0"});
    ASSERT_THAT(unknown, SizeIs(1));
    EXPECT_EQ(unknown[0].suggestion, "parameters.learning_rate");
    const auto unfit = folder.diagnostics(kCommand + kParameters, {"parameters.fast=3"});
    ASSERT_THAT(unfit, SizeIs(1));
    EXPECT_THAT(unfit[0].message, HasSubstr("expected true or false, as in the file"));
}

TEST(InvalidCommands, ParametersWithoutACommand) {
    const StudyFolder folder;
    const auto diagnostics = folder.diagnostics(kDataSection + kParameters);
    ASSERT_THAT(diagnostics, ::testing::Not(IsEmpty()));
    EXPECT_THAT(diagnostics[0].message, HasSubstr("there is no [command]"));
}

}  // namespace
}  // namespace orchestrate::testing
