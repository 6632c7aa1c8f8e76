// A value arrives as it was written: from the file, from variables and the environment, and from --set.
#include <cstdlib>
#include <set>
#include <tuple>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "common/job/command_arguments.h"
#include "study_files.h"

namespace orchestrate::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class Environment {
  public:
    Environment(const char* name, const std::string& value) : name_(name) { setenv(name, value.c_str(), 1); }
    ~Environment() { unsetenv(name_); }
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;

  private:
    const char* name_;
};

constexpr const char* kVariable = "ORCHESTRATE_TEST_VALUE";
const std::string kCommand = "[command]\nrun = [\"true\", \"{p}\"]\nmetrics = [\"a\"]\n";
const std::string kTag = "[variables]\ntag = { environment = \"ORCHESTRATE_TEST_VALUE\" }\n";

// The parameter p of a study of a command.
Json parameter(const std::string& toml, const std::vector<std::string>& overrides = {}) {
    const StudyFolder folder;
    const auto study = folder.load(toml, overrides);
    const Json found = study.base.command->parameters.at("p");
    // What is kept and sent to the coordinator means the same.
    EXPECT_EQ(folder.load(study.canonical_toml).base, study.base) << study.canonical_toml;
    return found;
}

Json parameter_as(const std::string& value, const std::vector<std::string>& overrides = {}) {
    return parameter(kCommand + "[parameters]\np = " + value + "\n", overrides);
}

TEST(Values, AnEnvironmentVariableWithinAStringIsItsCharacters) {
    for (const std::string text :
         {"2026-11-29", "1e10", "0x1f", "1_000", "1.50", "+5", "007", "true", "[1, 2]", "\"quoted\"", "a # b",
          "inf", "-0.0", "00:02:00", "{ a = 1 }", " x "}) {
        const Environment environment(kVariable, text);
        if (text.front() != ' ') {  // which no name may begin with
            const StudyFolder folder;
            EXPECT_EQ(folder.load(kDataSection + kTag + "[study]\nname = \"run-${tag}\"\n").name,
                      "run-" + text);
            EXPECT_EQ(folder.load(kDataSection + kTag + "[study]\nname = \"${tag}\"\n").name, text);
        }
        EXPECT_EQ(parameter(kCommand + kTag + "[parameters]\np = \"${tag}\"\n"), text);
    }
}

TEST(Values, AVariableOfTheFileWithinAStringIsAsItIsWrittenThere) {
    const StudyFolder folder;
    for (const std::string text : {"2026-11-29", "2026-11-29T10:00:00Z", "10:30:00", "0x1f", "1_000", "1.50",
                                   "+5", "true", "1e-320", "-0.0", "[1, 2.50]"}) {
        const auto name =
            folder.load(kDataSection + "[variables]\nv = " + text + "\n[study]\nname = \"é ${v}!\"\n").name;
        EXPECT_EQ(name, "é " + text + "!");
    }
}

TEST(Values, AVariableAloneHasItsOwnType) {
    const auto with = [](const std::string& value) {
        return parameter(kCommand + "[variables]\nv = " + value + "\n[parameters]\np = \"${v}\"\n");
    };
    EXPECT_EQ(with("48"), 48);
    EXPECT_TRUE(with("48").is_number_integer());
    EXPECT_EQ(with("0.5"), 0.5);
    EXPECT_EQ(with("true"), true);
    EXPECT_EQ(with("\"48\""), "48");
    EXPECT_EQ(with("[1, 2]"), Json::array({1, 2}));
    EXPECT_EQ(with("2026-11-29"), "2026-11-29");
}

TEST(Values, AVariableGivenElsewhereKeepsTheTypeThatTheFileGivesIt) {
    const auto with = [](const std::string& value, const std::string& given) {
        return parameter(kCommand + "[variables]\nv = " + value + "\n[parameters]\np = \"${v}\"\n",
                         {"variables.v=" + given});
    };
    EXPECT_EQ(with("48", "64"), 64);
    EXPECT_EQ(with("\"48\"", "0x40"), "0x40");
    EXPECT_TRUE(with("0.5", "2").is_number_float());
    const Environment environment(kVariable, "1e3");
    const auto from_environment = [](const std::string& fallback) {
        return parameter(
            kCommand + "[variables]\nv = { environment = \"ORCHESTRATE_TEST_VALUE\", default = " + fallback +
            " }\n[parameters]\np = \"${v}\"\n");
    };
    EXPECT_EQ(from_environment("\"none\""), "1e3");
    EXPECT_EQ(from_environment("0.5"), 1000.0);
}

TEST(Values, AVariableOfAnotherTypeThanItsDefaultIsRefused) {
    const StudyFolder folder;
    const Environment environment(kVariable, "many");
    const auto diagnostics =
        folder.diagnostics(kCommand +
                           "[variables]\nv = { environment = \"ORCHESTRATE_TEST_VALUE\", "
                           "default = 4 }\n[parameters]\np = \"${v}\"\n");
    ASSERT_THAT(diagnostics, SizeIs(1));
    EXPECT_THAT(diagnostics[0].message, AllOf(HasSubstr("ORCHESTRATE_TEST_VALUE cannot be 'many'"),
                                              HasSubstr("expected an integer, as 4 is")));
    EXPECT_EQ(diagnostics[0].line, 5);
}

TEST(Values, WhatTheEnvironmentGivesTakesTheTypeOfItsPlace) {
    const StudyFolder folder;
    const Environment environment(kVariable, "7");
    const auto study = folder.load(kDataSection + kTag + R"([study]
name = "${tag}"
seeds = ["${tag}"]
[train]
epochs = "${tag}"
learning_rate = "${tag}"
[search]
trials = 1
[search.space]
train.batch_size = ["${tag}"]
[[ablation]]
name = "${tag}"
set = { "model.head_width" = "${tag}" }
)");
    EXPECT_EQ(study.name, "7");
    EXPECT_EQ(study.base.train.epochs, 7);
    EXPECT_EQ(study.base.train.learning_rate, 7.0);
    const auto trials = study.expand(study.stages[0], study.base);
    EXPECT_EQ(trials.at(0).config.train.batch_size, 7);
    EXPECT_THAT(names_of(last_stage(study)), ElementsAre("baseline", "7"));
    EXPECT_EQ(last_stage(study)[1].config.model.head_width, 7);
    EXPECT_EQ(folder.load(study.canonical_toml).base, study.base);
}

TEST(Values, WhatMayBeSetInACommandTakesTheTypeOfTheParameter) {
    const StudyFolder folder;
    const Environment environment(kVariable, "12");
    const auto study = folder.load(kCommand + kTag + R"([parameters]
p = "x"
n = 1
o = { r = 0.5 }
[search]
method = "grid"
select_by = "validation a"
[search.space]
p = ["${tag}", "y"]
[[ablation]]
sweep = { "parameters.n" = ["${tag}"], p = ["${tag}"], o.r = ["${tag}"] }
)");
    const auto last = last_stage(study);
    ASSERT_THAT(last, SizeIs(2));
    const Json& parameters = last[1].config.command->parameters;
    EXPECT_EQ(parameters.at("p"), "12");
    EXPECT_EQ(parameters.at("n"), 12);
    EXPECT_EQ(parameters.at("o").at("r"), 12.0);
    EXPECT_EQ(study.expand(study.stages[0], study.base).at(0).config.command->parameters.at("p"), "12");
}

TEST(Overrides, TakeTheTypeOfTheirField) {
    const StudyFolder folder;
    const auto study = folder.load(
        kDataSection, {"study.name=2026-11-30", "cluster.time_limit=00:02:00", "train.epochs=0x10",
                       "train.learning_rate=1", "model.head_width=none", "data.label=genre"});
    EXPECT_EQ(study.name, "2026-11-30");
    EXPECT_EQ(study.cluster.time_limit, "00:02:00");
    EXPECT_EQ(study.base.train.epochs, 16);
    EXPECT_EQ(study.base.train.learning_rate, 1.0);
    const auto again = folder.load(study.canonical_toml);
    EXPECT_EQ(again.name, study.name);
    EXPECT_EQ(again.cluster.time_limit, study.cluster.time_limit);
    EXPECT_EQ(folder.load(kDataSection, {"study.name=12"}).name, "12");
    EXPECT_EQ(folder.load(kDataSection, {"study.name=\"12\""}).name, "12") << "TOML's quotes are none of it";
    EXPECT_EQ(folder.load(kDataSection, {"study.name=1.50"}).name, "1.50");
    EXPECT_EQ(folder.load(kDataSection, {"study.name=a=b"}).name, "a=b");
}

TEST(Overrides, TakeTheTypeOfTheParameterInTheFile) {
    EXPECT_EQ(parameter_as("\"x\"", {"parameters.p=12"}), "12");
    EXPECT_EQ(parameter_as("\"x\"", {"parameters.p=1.50"}), "1.50");
    EXPECT_EQ(parameter_as("\"x\"", {"parameters.p=[1]"}), "[1]");
    EXPECT_EQ(parameter_as("3", {"parameters.p=0x1f"}), 31);
    EXPECT_TRUE(parameter_as("0.5", {"parameters.p=2"}).is_number_float());
    EXPECT_EQ(parameter_as("true", {"parameters.p=false"}), false);
    EXPECT_EQ(parameter_as("[\"a\"]", {"parameters.p=[\"b\", \"c\"]"}), Json::array({"b", "c"}));
    EXPECT_EQ(parameter_as("2026-11-29", {"parameters.p=2026-11-30"}), "2026-11-30");
}

TEST(Overrides, AnUnfitOneIsTheOnlyMistake) {
    const StudyFolder folder;
    const auto diagnostics = folder.diagnostics(kCommand + "[parameters]\np = 3\n", {"parameters.p=many"});
    ASSERT_THAT(diagnostics, SizeIs(1));
    EXPECT_EQ(diagnostics[0].message,
              "parameters.p cannot be the text 'many'; expected an integer, as in the file");
    EXPECT_EQ(diagnostics[0].file, "command line");
}

TEST(Parameters, ArriveWithAllTheirDigits) {
    for (const std::string number :
         {"1e-320", "-0.0", "9007199254740993", "-9223372036854775808", "1.7976931348623157e308", "0.1"}) {
        const Json value = parameter_as(number);
        EXPECT_EQ(Json::parse(as_argument(value)), value) << number;
        EXPECT_EQ(value.is_number_float(), number.find_first_of(".e") != std::string::npos);
    }
    EXPECT_EQ(as_argument(parameter_as("-0.0")), "-0.0");
    EXPECT_EQ(as_argument(parameter_as("9007199254740993")), "9007199254740993");
    EXPECT_EQ(parameter_as("0x7fffffffffffffff"), 9223372036854775807);
}

TEST(Parameters, DatesAndTimesAreGivenAsTheyAreWritten) {
    EXPECT_EQ(parameter_as("2026-11-29"), "2026-11-29");
    EXPECT_EQ(parameter_as("2026-11-29T10:00:00.50+01:00"), "2026-11-29T10:00:00.50+01:00");
    EXPECT_EQ(parameter_as("[2026-11-29, 2026-11-30]"), Json::array({"2026-11-29", "2026-11-30"}));
    const StudyFolder folder;
    const auto study = folder.load(kCommand +
                                   "[parameters]\np = 2026-11-29\n[[ablation]]\n"
                                   "sweep = { p = [2026-11-30, 2026-12-01] }\n");
    EXPECT_THAT(names_of(last_stage(study)), ElementsAre("baseline", "p 2026-11-30", "p 2026-12-01"));
}

TEST(Parameters, MessagesDoNotContradictThemselves) {
    const StudyFolder folder;
    const auto message = [&](const std::string& in_file, const std::string& swept) {
        const auto diagnostics = folder.diagnostics(kCommand + "[parameters]\np = " + in_file +
                                                    "\n[[ablation]]\nsweep = { p = [" + swept + "] }\n");
        return diagnostics.empty() ? "" : diagnostics.front().message;
    };
    EXPECT_THAT(message("0.5", "inf"), HasSubstr("cannot be the number inf; expected a finite number"));
    EXPECT_THAT(message("[1, 2]", "[\"a\"]"),
                HasSubstr("cannot be a list of texts; expected a list of integers"));
    EXPECT_THAT(message("0.5", "9007199254740993"), HasSubstr("more than 53 bits"));
    EXPECT_THAT(folder.diagnostics("[command]\nrun = []\nmetrics = [\"a\"]\n").at(0).message,
                HasSubstr("cannot be an empty list; expected a list of texts"));
}

TEST(Characters, NulIsRefusedAtItsPlace) {
    const StudyFolder folder;
    const auto diagnostics = folder.diagnostics(kCommand + "[parameters]\np = \"abc\\u0000def\"\n");
    ASSERT_THAT(diagnostics, SizeIs(1));
    EXPECT_THAT(diagnostics[0].message, AllOf(HasSubstr("'abc\\u0000def'"), HasSubstr("NUL")));
    EXPECT_EQ(diagnostics[0].line, 5);
    EXPECT_THAT(folder.diagnostics("[command]\nrun = [\"true\", \"a\\u0000\"]\nmetrics = [\"a\"]\n"),
                SizeIs(1));
}

TEST(Characters, WhatIsNotUtf8IsRefusedAtItsPlace) {
    const StudyFolder folder;
    const auto in_file = folder.diagnostics(kDataSection + "[study]\nname = \"a\xFF\"\n");
    ASSERT_THAT(in_file, SizeIs(1));
    EXPECT_EQ(in_file[0].line, 6);
    EXPECT_THAT(render(in_file[0]), AllOf(HasSubstr("\\xFF"), Not(HasSubstr("\xFF"))));
    const auto given = folder.diagnostics(kDataSection, {"study.name=a\xFF"});
    ASSERT_THAT(given, SizeIs(1));
    EXPECT_THAT(given[0].message, HasSubstr("not UTF-8"));
    const Environment environment(kVariable, "a\xFF");
    const auto from_environment = folder.diagnostics(kDataSection + kTag + "[study]\nname = \"${tag}\"\n");
    ASSERT_THAT(from_environment, SizeIs(1));
    EXPECT_THAT(from_environment[0].message, AllOf(HasSubstr("'a\\xFF'"), HasSubstr("not UTF-8")));
    EXPECT_EQ(from_environment[0].line, 6);
}

TEST(Characters, LineBreaksOfValuesDoNotBreakTables) {
    const StudyFolder folder;
    const auto study =
        folder.load(kCommand + "[parameters]\np = \"x\"\n[[ablation]]\nsweep = { p = [\"a\\nb\"] }\n");
    const auto variants = last_stage(study);
    EXPECT_EQ(variants.at(1).name, "p \"a\\nb\"");
    EXPECT_EQ(variants[1].config.command->parameters.at("p"), "a\nb") << "the command gets what was written";
    EXPECT_THAT(folder.diagnostics(kDataSection + "[study]\nname = \"a\\nb\"\n"), SizeIs(1));
}

std::set<double> drawn(const std::string& range, const std::string& at) {
    const StudyFolder folder;
    const auto study = folder.load(
        kCommand + "[parameters]\np = " + at +
        "\n[search]\ntrials = 8\nselect_by = \"validation a\"\n[search.space]\np = " + range + "\n");
    std::set<double> values;
    for (const auto& trial : study.expand(study.stages[0], study.base)) {
        values.insert(trial.config.command->parameters.at("p").get<double>());
    }
    return values;
}

TEST(Search, NarrowRangesAreResolved) {
    for (const auto& [range, low, high] : std::vector<std::tuple<std::string, double, double>>{
             {"{ uniform = [293.15, 293.25] }", 293.15, 293.25},
             {"{ uniform = [1999.5, 2000.5] }", 1999.5, 2000.5},
             {"{ uniform = [1000.1, 1000.4] }", 1000.1, 1000.4},
             {"{ uniform = [-1000.4, -1000.1] }", -1000.4, -1000.1},
             {"{ log_uniform = [0.99991, 0.99999] }", 0.99991, 0.99999},
             {"{ uniform = [1e9, 1.00000000001e9] }", 1e9, 1.00000000001e9},
             {"{ uniform = [1e9, 1.0000000001e9], step = 0.001 }", 1e9, 1.0000000001e9}}) {
        const auto values = drawn(range, "0.5");
        EXPECT_THAT(values, SizeIs(8)) << range;
        EXPECT_GE(*values.begin(), low);
        EXPECT_LE(*values.rbegin(), high);
    }
}

// Values of studies that were run before are part of identities: where 4 digits resolve the range they stay.
TEST(Search, OtherRangesKeepFourDigits) {
    for (const std::string range :
         {"{ uniform = [0.9, 0.999] }", "{ uniform = [0.0, 0.3] }", "{ log_uniform = [1e-5, 1e-3] }"}) {
        for (const double value : drawn(range, "0.5")) {
            EXPECT_EQ(std::stod(fmt::format("{:.3e}", value)), value) << range;
        }
    }
}

TEST(Search, IntegersKeepAllTheirDigits) {
    const StudyFolder folder;
    const auto study =
        folder.load(kCommand +
                    "[parameters]\np = 1\n[search]\nmethod = \"grid\"\nselect_by = \"validation a\"\n"
                    "[search.space]\np = { integer = [9007199254740993, 9007199254740995] }\n");
    std::vector<std::int64_t> values;
    for (const auto& trial : study.expand(study.stages[0], study.base)) {
        values.push_back(trial.config.command->parameters.at("p").get<std::int64_t>());
    }
    EXPECT_THAT(values, ElementsAre(9007199254740993, 9007199254740994, 9007199254740995));
}

}  // namespace
}  // namespace orchestrate::testing
