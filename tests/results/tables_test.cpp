// Text tables, the comparison of a study, the status of all.
#include "results/tables.h"

#include <algorithm>
#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "filled_database.h"
#include "results/display_width.h"

namespace orchestrate {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
        lines.push_back(line);
    }
    return lines;
}

std::size_t widest_line(const std::string& text) {
    std::size_t widest = 0;
    for (const std::string& line : lines_of(text)) {
        widest = std::max(widest, display_width(line));
    }
    return widest;
}

// Without line breaks, so that sentences can be looked for.
std::string unwrapped(const std::string& text) {
    std::string result;
    for (const std::string& line : lines_of(text)) {
        result += line.substr(std::min(line.find_first_not_of(' '), line.size())) + " ";
    }
    return result;
}

std::string user_error_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const UserError& error) {
        return error.what();
    }
    ADD_FAILURE() << "no UserError";
    return {};
}

TEST(DisplayWidth, CountsTerminalColumns) {
    EXPECT_EQ(display_width(""), 0U);
    EXPECT_EQ(display_width("energy"), 6U);
    EXPECT_EQ(display_width("\u00b10.4"), 4U);
    EXPECT_EQ(display_width("\u97f3\u697d"), 4U);                                // two wide characters
    EXPECT_EQ(display_width("e\u0301"), 1U);                                     // a combining accent
    EXPECT_EQ(display_width("\U0001F3B8"), 2U);                                  // guitar
    EXPECT_EQ(display_width("\U0001F1E9\U0001F1EA"), 2U);                        // a flag of two letters
    EXPECT_EQ(display_width("\U0001F468\u200D\U0001F469\u200D\U0001F467"), 2U);  // a family, joined
}

TEST(Shortened, NeverGetsWiderThanAsked) {
    const std::string text = "na\u00efve \u97f3\u697d e\u0301tude \U0001F3B8 end";
    for (std::size_t width = 0; width <= display_width(text) + 1; ++width) {
        EXPECT_LE(display_width(shortened(text, width)), width);
    }
    EXPECT_EQ(shortened(text, display_width(text)), text);
    EXPECT_EQ(shortened("popularity", 6), "popul\u2026");
    EXPECT_EQ(shortened("\u97f3\u697d\u97f3", 4), "\u97f3\u2026");
}

TEST(Printable, EscapesWhatWouldSteerATerminal) {
    EXPECT_EQ(escaped("a\nb\tc\x1b[31m"), "a\\nb\\tc\\x1b[31m");
    EXPECT_EQ(escaped("bad \xff byte"), "bad \ufffd byte");
}

TEST(TextTable, AlignsTextLeftAndNumbersRight) {
    EXPECT_EQ(render_text_table({"name", "n", "share"}, {{"a", "5", "1.5"}, {"longer", "1000", "-"}}, 0),
              "name       n  share\n"
              "\u2500\u2500\u2500\u2500\u2500\u2500\u2500\u2500\u2500\u2500\u2500\u2500\u2500\u2500\u2500"
              "\u2500\u2500"
              "\u2500\u2500\n"
              "a          5    1.5\n"
              "longer  1000      -\n");
}

TEST(TextTable, AlignsWideCharactersByColumns) {
    const auto lines = lines_of(render_text_table({"genre", "x"}, {{"\u97f3\u697d", "a"}, {"punk", "b"}}, 0));
    EXPECT_EQ(lines[2], "\u97f3\u697d   a");
    EXPECT_EQ(lines[3], "punk   b");
}

TEST(TextTable, ShortensTheWidestTextButNoNumber) {
    const std::string text(60, 'x');
    const std::string table =
        render_text_table({"a", "number", "b"}, {{text, "1234567890123456", "short"}}, 40);
    EXPECT_EQ(widest_line(table), 40U);
    EXPECT_THAT(table, AllOf(HasSubstr("xx\u2026"), HasSubstr("1234567890123456"), HasSubstr("short")));
    EXPECT_THAT(render_text_table({"a", "b"}, {{text, "short"}}, 0), HasSubstr(text));
}

TEST(TextTable, ShortensTitlesOfNumbersToTheirNumbers) {
    const std::string title(40, 'm');
    const std::string table = render_text_table({"a", title, title}, {{"text", "12.345", "1"}}, 60);
    EXPECT_EQ(widest_line(table), 60U) << table;
    EXPECT_THAT(table, HasSubstr("12.345"));
    const std::string narrow = render_text_table({"a", title, title}, {{"text", "12.345", "1"}}, 10);
    EXPECT_EQ(widest_line(narrow), 4 + 2 * (2 + 12U)) << narrow;
    EXPECT_THAT(lines_of(narrow)[0], HasSubstr("mmmmmmmmmmm\u2026  mmmmmmmmmmm\u2026"));
}

TEST(TextTable, FillsShortRowsAndRefusesLongOnes) {
    EXPECT_EQ(lines_of(render_text_table({"a", "b"}, {{"x"}}, 0))[2], "x");
    EXPECT_THROW(render_text_table({"a"}, {{"x", "y"}}, 0), std::invalid_argument);
}

TEST(Comparison, OfSevenVariantsFitsIntoEightyColumns) {
    FilledDatabase filled;
    add_punk_or_funk(filled);
    const std::string text = render_comparison(filled.database(), "punk-or-funk-small", std::nullopt, 80);
    EXPECT_LE(widest_line(text), 80U) << text;
    EXPECT_THAT(text, Not(HasSubstr("\u2026"))) << text;
    const auto lines = lines_of(text);
    // Baseline: F1 51 and 52; popularity: 49 and 51, accuracy one more; sqrt(2) / 2 = 0.7, sqrt(2) = 1.4.
    EXPECT_THAT(lines[2], StartsWith("variant"));
    EXPECT_EQ(lines[4],
              "baseline            52.5 \u00b10.7  53.5 \u00b10.7  52.0 \u00b10.7  51.5 \u00b10.7            "
              "   2/2");
    EXPECT_EQ(lines[5],
              "without popularity  51.0 \u00b11.4  52.0 \u00b11.4  50.5 \u00b11.4  50.0 \u00b11.4  -1.5 "
              "\u00b10.7    2/2");
    EXPECT_THAT(lines[10], StartsWith("Tanh"));
}

TEST(Comparison, ClosesUpWhereEightyColumnsAreScarce) {
    FilledDatabase filled;
    const auto stage = filled.add_stage(filled.add_study("s"), 0, "a");
    const auto baseline = filled.add_variant(stage, 0, "baseline", true);
    const auto changed = filled.add_variant(stage, 1, "without instrumentalness");
    for (int seed = 0; seed < 2; ++seed) {
        filled.add_succeeded(baseline, seed, {0.5, 0.5, 0.5, 0.5});
        filled.add_succeeded(changed, seed, {0.5, 0.5, 0.5, 0.48 + 0.01 * seed});
    }
    const std::string text = render_comparison(filled.database(), "s", std::nullopt, 80);
    EXPECT_LE(widest_line(text), 80U) << text;
    EXPECT_THAT(text, AllOf(HasSubstr("without instrumentalness  50.0\u00b10.0"), HasSubstr("-1.5\u00b10.7")))
        << text;
}

TEST(Comparison, ShortensNothingInAPipe) {
    FilledDatabase filled;
    const auto stage = filled.add_stage(filled.add_study("s"), 0, "a");
    const std::string name(90, 'v');
    filled.add_succeeded(filled.add_variant(stage, 0, name, true), 0, {0.5, 0.5, 0.5, 0.5});
    EXPECT_THAT(render_comparison(filled.database(), "s", "a", 0), HasSubstr(name));
    const std::string narrow = render_comparison(filled.database(), "s", "a", 80);
    EXPECT_THAT(narrow, Not(HasSubstr(name)));
    EXPECT_LE(widest_line(narrow), 80U);
}

TEST(Comparison, CountsInPlainEnglish) {
    FilledDatabase filled;
    const auto stage = filled.add_stage(filled.add_study("s"), 0, "a");
    const auto baseline = filled.add_variant(stage, 0, "baseline", true);
    filled.add_succeeded(baseline, 0, {0.5, 0.5, 0.5, 0.5});
    EXPECT_THAT(render_comparison(filled.database(), "s", "a", 80), HasSubstr("s, stage a, 1 variant\n"));
    filled.add_succeeded(baseline, 1, {0.6, 0.6, 0.6, 0.6});
    filled.add_job(filled.add_variant(stage, 1, "without energy"), 0);  // has no result yet
    const std::string text = unwrapped(render_comparison(filled.database(), "s", "a", 80));
    EXPECT_THAT(text, HasSubstr("stage a, 2 variants"));
    EXPECT_THAT(text, HasSubstr("over 2 seeds"));
}

TEST(Comparison, OneSeedShowsNoDeviation) {
    FilledDatabase filled;
    const auto stage = filled.add_stage(filled.add_study("s"), 0, "a");
    filled.add_succeeded(filled.add_variant(stage, 0, "baseline", true), 0, {0.5, 0.5, 0.5, 0.5});
    filled.add_succeeded(filled.add_variant(stage, 1, "changed"), 0, {0.5, 0.5, 0.5, 0.507});
    const std::string text = render_comparison(filled.database(), "s", std::nullopt, 0);
    EXPECT_THAT(text, AllOf(Not(HasSubstr("\u00b1")), HasSubstr("+0.7"), HasSubstr("one seed")));
}

TEST(Comparison, SaysWhatItsRunsDifferIn) {
    FilledDatabase filled;
    add_punk_or_funk(filled);
    const auto text = [&] {
        return unwrapped(
            render_comparison(filled.database(), "punk-or-funk-small", std::nullopt, 0, OutputFormat::table));
    };
    EXPECT_THAT(
        text(),
        HasSubstr("over 2 seeds (n - 1). Difference: macro F1 minus the baseline's with the same seed"));
    filled.database().exec("UPDATE variant_jobs SET initialization_seed = 1, data_order_seed = 1");
    EXPECT_THAT(
        text(),
        HasSubstr("over 2 splits (n - 1). Difference: macro F1 minus the baseline's with the same split"));
    filled.database().exec("UPDATE variants SET config = '{\"data\": {\"split\": {\"folds\": 2}}}'");
    EXPECT_THAT(
        text(),
        HasSubstr("over 2 folds (n - 1). Difference: macro F1 minus the baseline's with the same fold"));
    const auto third = filled.add_succeeded(1, 2, {0.5, 0.5, 0.5, 0.5});
    EXPECT_GT(third, 0);
    EXPECT_THAT(text(), HasSubstr("over 2 to 3 runs (seeds and folds) (n - 1)."));
    filled.database().exec("UPDATE variant_jobs SET initialization_seed = 1, data_order_seed = 1");
    EXPECT_THAT(text(), HasSubstr("over 2 to 3 runs (splits and folds) (n - 1)."))
        << "more than there are folds: of several splits";
}

TEST(Comparison, WithoutABaselineHasNoDifference) {
    FilledDatabase filled;
    const auto stage = filled.add_stage(filled.add_study("s"), 0, "search");
    filled.add_succeeded(filled.add_variant(stage, 0, "trial 1"), 0, {0.5, 0.5, 0.5, 0.5});
    EXPECT_THAT(render_comparison(filled.database(), "s", std::nullopt, 0), Not(HasSubstr("ifference")));
}

TEST(Comparison, ShowsTheLastStageThatHasVariants) {
    FilledDatabase filled;
    const auto study = filled.add_study("s");
    const auto search = filled.add_stage(study, 0, "search");
    const auto ablation = filled.add_stage(study, 1, "ablation");
    filled.add_variant(search, 0, "trial 1");
    EXPECT_THAT(render_comparison(filled.database(), "s", std::nullopt, 0), HasSubstr("trial 1"));
    EXPECT_THAT(render_comparison(filled.database(), "s", "ablation", 0), HasSubstr("no variants yet"));
    filled.add_variant(ablation, 0, "baseline", true);
    EXPECT_THAT(render_comparison(filled.database(), "s", std::nullopt, 0),
                AllOf(HasSubstr("baseline"), Not(HasSubstr("trial 1"))));
    EXPECT_THAT(render_comparison(filled.database(), "s", "search", 0), HasSubstr("trial 1"));
}

TEST(Comparison, SaysWhatIsMissingAndWhy) {
    FilledDatabase filled;
    const auto stage = filled.add_stage(filled.add_study("s"), 0, "a");
    const auto baseline = filled.add_variant(stage, 0, "baseline", true);
    const auto changed = filled.add_variant(stage, 1, "changed");
    filled.add_variant(stage, 2, "gone", false, true);
    filled.add_succeeded(baseline, 0, {0.5, 0.5, 0.5, 0.5});
    filled.add_job(baseline, 1);
    const auto failed = filled.add_job(changed, 0);
    filled.add_attempt(failed, 1, "out_of_memory", "needed 20 GiB\nstack...");
    filled.set_state(failed, "failed");
    filled.set_state(filled.add_job(changed, 1), "cancelled");
    const std::string text = unwrapped(render_comparison(filled.database(), "s", std::nullopt, 80));
    EXPECT_THAT(text, HasSubstr("2 of 4 jobs are not done: 1 waiting, 1 cancelled."));
    EXPECT_THAT(text, HasSubstr("Cancelled: job 4 (changed, seed 102); run again by: orchestrate retry JOB"));
    EXPECT_THAT(text,
                HasSubstr("Job 3 (changed, seed 101) failed: out_of_memory, needed 20 GiB; see: orchestrate "
                          "logs 3"));
    EXPECT_THAT(text, HasSubstr("Not shown: 1 variant no longer in the study's file."));
}

TEST(Comparison, WarnsOfWhatMakesNumbersDoubtful) {
    FilledDatabase filled;
    const auto stage = filled.add_stage(filled.add_study("s"), 0, "a");
    const auto baseline = filled.add_variant(stage, 0, "baseline", true);
    const auto changed = filled.add_variant(stage, 1, "changed");
    const auto unchanged = filled.add_variant(stage, 2, "unchanged");
    const TestMetrics metrics{0.5, 0.5, 0.5, 0.5};
    const auto first = filled.add_job(baseline, 0);
    filled.succeed(first, metrics, "cpu avx2", false,
                   R"({"leaks": [{"part": "test", "kind": "text", "rows": 12, "share": 0.012},
                                 {"part": "test", "kind": "group", "rows": 0, "share": 0.0}]})");
    filled.succeed(filled.add_job(changed, 0), metrics, "cpu amx", true,
                   R"({"leaks": [{"part": "test", "kind": "text", "rows": 34, "share": 0.034}]})");
    filled.use_job(unchanged, 0, first);
    const std::string text = unwrapped(render_comparison(filled.database(), "s", std::nullopt, 80));
    EXPECT_THAT(
        text, HasSubstr("Leak: 1.2 to 3.4 % of the test rows (at most 34) read the same as a training row."));
    EXPECT_THAT(text, Not(HasSubstr("group")));
    EXPECT_THAT(text, HasSubstr("Mixed devices: cpu amx (1 job), cpu avx2 (1 job)."));
    EXPECT_THAT(text,
                HasSubstr("1 run collapsed (nearly one class for all test rows, though the labels differ, "
                          "or a loss no better than guessing): job 2 (changed, seed 101)."));
    EXPECT_THAT(text, HasSubstr("1 job is shared with other variants and trained once."));
}

TEST(Comparison, NotesNameClassesThatAPartLacks) {
    FilledDatabase filled;
    const auto stage = filled.add_stage(filled.add_study("s"), 0, "a");
    const auto baseline = filled.add_variant(stage, 0, "baseline", true);
    const TestMetrics metrics{0.5, 0.5, 0.5, 0.5};
    const std::string report = R"({"leaks": [], "absent_classes": [{"part": "test", "classes": ["funk"]}]})";
    filled.succeed(filled.add_job(baseline, 0), metrics, "cpu avx2", false, report);
    const auto text = [&] { return unwrapped(render_comparison(filled.database(), "s", std::nullopt, 80)); };
    EXPECT_THAT(text(),
                HasSubstr("1 class has no test row: 'funk'; each counts as 0 in the macro averages."));
    filled.succeed(filled.add_job(baseline, 1), metrics);
    EXPECT_THAT(text(), HasSubstr("Up to 1 class has no test row (in 1 of 2 jobs): 'funk'"));
}

TEST(Comparison, SuggestsTheNearestStudyAndStage) {
    FilledDatabase filled;
    EXPECT_THAT(user_error_of([&] { render_comparison(filled.database(), "x", std::nullopt, 80); }),
                HasSubstr("no study was run"));
    add_punk_or_funk(filled);
    EXPECT_THAT(
        user_error_of([&] { render_comparison(filled.database(), "punk-or-fank-small", std::nullopt, 80); }),
        AllOf(HasSubstr("no study 'punk-or-fank-small'"), HasSubstr("did you mean 'punk-or-funk-small'?")));
    EXPECT_THAT(
        user_error_of([&] { render_comparison(filled.database(), "punk-or-funk-small", "ablaton", 80); }),
        AllOf(HasSubstr("no stage 'ablaton'"), HasSubstr("did you mean 'ablation'?")));
}

TEST(Comparison, ShowsOtherMetricsWhenAsked) {
    FilledDatabase filled;
    add_punk_or_funk(filled);
    const auto render = [&](const std::vector<std::string>& metrics, OutputFormat format) {
        return render_comparison(filled.database(), "punk-or-funk-small", std::nullopt, 0, format, metrics);
    };
    const std::string text = render({"weighted_f1", "loss"}, OutputFormat::table);
    EXPECT_THAT(text,
                AllOf(HasSubstr("weighted F1"), HasSubstr("50.0 \u00b10.0"), HasSubstr("0.7000 \u00b10.0000"),
                      HasSubstr("On the test part (weighted F1 in %)"),
                      HasSubstr("Difference: weighted F1 minus"), Not(HasSubstr("macro"))));
    const auto json = nlohmann::json::parse(render({"loss"}, OutputFormat::json));
    EXPECT_EQ(json["rows"][0]["metric"], "loss");
    EXPECT_EQ(json["rows"].size(), 2 * 7U);  // of both parts
    EXPECT_THAT(user_error_of([&] { render({"weighted_f2"}, OutputFormat::table); }),
                AllOf(HasSubstr("no metric 'weighted_f2'"), HasSubstr("did you mean 'weighted_f1'?")));
}

TEST(Comparison, AsJsonAndCsv) {
    FilledDatabase filled;
    add_punk_or_funk(filled);
    const auto json = nlohmann::json::parse(
        render_comparison(filled.database(), "punk-or-funk-small", std::nullopt, 80, OutputFormat::json));
    EXPECT_EQ(json["study"], "punk-or-funk-small");
    EXPECT_EQ(json["stage"], "ablation");
    ASSERT_EQ(json["rows"].size(), 7U);
    EXPECT_EQ(json["rows"][0]["variant"], "baseline");
    EXPECT_TRUE(json["rows"][0]["difference"].is_null());
    EXPECT_DOUBLE_EQ(json["rows"][1]["difference"].get<double>(), -1.5);
    EXPECT_TRUE(json["notes"].is_array());
    const auto csv = lines_of(
        render_comparison(filled.database(), "punk-or-funk-small", std::nullopt, 80, OutputFormat::csv));
    ASSERT_EQ(csv.size(), 8U);
    EXPECT_THAT(csv[0], StartsWith("study,stage,variant,jobs,accuracy,accuracy_sd,"));
    EXPECT_THAT(csv[2], StartsWith("punk-or-funk-small,ablation,without popularity,2/2,51.0,1.41,"));
}

TEST(StudyNames, NewestFirst) {
    FilledDatabase filled;
    filled.add_study("first");
    filled.add_study("second");
    EXPECT_THAT(study_names(filled.database()), ::testing::ElementsAre("second", "first"));
}

TEST(StudyStatus, CountsJobsPerStage) {
    FilledDatabase filled;
    EXPECT_THAT(render_study_status(filled.database(), 80), HasSubstr("No study"));
    const auto study = filled.add_study("genres");
    const auto variant = filled.add_variant(filled.add_stage(study, 0, "search"), 0, "v");
    filled.add_stage(study, 1, "ablation");
    filled.add_succeeded(variant, 0, {0.5, 0.5, 0.5, 0.5});
    filled.add_job(variant, 1);
    const auto lines = lines_of(render_study_status(filled.database(), 80));
    EXPECT_EQ(lines[0], "study   state    stage     done  running  waiting  failed");
    EXPECT_EQ(lines[2], "genres  running  search     1/2        0        1       0");
    EXPECT_EQ(lines[3], "                 ablation   0/0        0        0       0");
    filled.set_state(filled.add_job(variant, 4), "paused");
    EXPECT_EQ(lines_of(render_study_status(filled.database(), 80))[2],
              "genres  running  search     1/3        0        1       0       1");
    filled.set_state(filled.add_job(variant, 2), "cancelled");
    EXPECT_THAT(lines_of(render_study_status(filled.database(), 80))[0], HasSubstr("cancelled"));
    filled.set_state(filled.add_job(variant, 3), "quarantined");
    EXPECT_THAT(lines_of(render_study_status(filled.database(), 80))[0], HasSubstr("quarantined"));
    const auto json = nlohmann::json::parse(render_study_status(filled.database(), 80, OutputFormat::json));
    EXPECT_EQ(json[0]["waiting"], 1);
}

}  // namespace
}  // namespace orchestrate
