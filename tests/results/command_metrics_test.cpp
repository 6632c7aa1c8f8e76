// The comparison of commands: metrics under names of their own, in their own scale.
#include <algorithm>
#include <sstream>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "filled_database.h"
#include "results/tables.h"

namespace orchestrate {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class MetricValues : public ::testing::Test {
  protected:
    MetricValues() {
        const auto study = filled_.add_study("tuned");
        stage_ = filled_.add_stage(study, 0, "ablation");
        filled_.declare(stage_, {{"accuracy", MetricGoal::max}, {"loss", MetricGoal::min}});
        baseline_ = filled_.add_variant(stage_, 0, "baseline", true);
        other_ = filled_.add_variant(stage_, 1, "without energy");
        add(baseline_, 0, 0.5, 12.5);
        add(baseline_, 1, 0.6, 13.5);
        add(other_, 0, 0.7, 150);
        add(other_, 1, 0.9, 250);
    }

    // A job that has succeeded with both metrics.
    std::int64_t add(std::int64_t variant, int seed, double accuracy, double loss) {
        const auto job = filled_.add_job(variant, seed);
        filled_.set_state(job, "succeeded");
        filled_.insert("job_metrics VALUES (?, 'test', 'accuracy', ?)", job, accuracy);
        filled_.insert("job_metrics VALUES (?, 'test', 'loss', ?)", job, loss);
        filled_.insert("job_metrics VALUES (?, 'validation', 'accuracy', ?)", job, accuracy - 0.1);
        return job;
    }

    std::string table(std::size_t width = 80, OutputFormat format = OutputFormat::table) {
        return render_comparison(filled_.database(), "tuned", std::nullopt, width, format);
    }

    FilledDatabase filled_;
    std::int64_t stage_ = 0;
    std::int64_t baseline_ = 0;
    std::int64_t other_ = 0;
};

TEST_F(MetricValues, OfAnySizeStayReadable) {
    const auto huge = filled_.add_variant(stage_, 2, "huge");
    add(huge, 0, 1e308, -0.0);
    add(huge, 1, 1e308, -0.0);
    const std::string text = table();
    EXPECT_THAT(text, AllOf(HasSubstr("1.000e+308"), HasSubstr("0.5500"), Not(HasSubstr("inf")),
                            Not(HasSubstr("-0.0"))))
        << text;
    EXPECT_LT(text.find('\n', text.find("variant ")) - text.find("variant "), 80U);
}

TEST_F(MetricValues, HaveMeansSpreadsAndPairedDifferences) {
    EXPECT_THAT(
        filled_.rows("SELECT variant, metric, goal, seeds, round(value, 6), round(value_sd, 6), pairs, "
                     "round(difference, 6), round(difference_sd, 6) FROM metric_comparison "
                     "WHERE part = 'test'"),
        ElementsAre("baseline|accuracy|max|2|0.55|0.070711|0||", "baseline|loss|min|2|13.0|0.707107|0||",
                    "without energy|accuracy|max|2|0.8|0.141421|2|0.25|0.070711",
                    "without energy|loss|min|2|200.0|70.710678|2|187.0|70.003571"));
}

TEST_F(MetricValues, AreATable) {
    EXPECT_THAT(table(),
                AllOf(HasSubstr("baseline        0.5500 ±0.0707   13.00 ±0.71 "),
                      HasSubstr("without energy  0.8000 ±0.1414  200.00 ±70.71  +0.2500 ±0.0707   2/2"),
                      HasSubstr("mean ± standard deviation over 2"),
                      HasSubstr("accuracy minus the baseline's"), Not(HasSubstr("macro"))));
}

TEST_F(MetricValues, FitNarrowTerminals) {
    std::istringstream lines(table(60));
    for (std::string line; std::getline(lines, line);) {
        // The sign and the rule take two and three bytes.
        const auto columns = std::count_if(
            line.begin(), line.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
        EXPECT_LE(columns, 60) << line;
    }
}

TEST_F(MetricValues, OfJobsThatAreNotDoneAreLeftOut) {
    const auto waiting = filled_.add_variant(stage_, 2, "waiting");
    filled_.add_job(waiting, 0);
    EXPECT_THAT(table(), HasSubstr("0/1"));
    const auto failed = add(other_, 2, 0.1, 1);
    filled_.set_state(failed, "failed");
    EXPECT_THAT(filled_.rows("SELECT seeds FROM metric_comparison WHERE variant = 'without energy' "
                             "AND part = 'test' AND metric = 'accuracy'"),
                ElementsAre("2"));
}

TEST_F(MetricValues, AreJsonAndCsv) {
    const auto json = nlohmann::json::parse(table(0, OutputFormat::json));
    EXPECT_EQ(json["rows"].size(), 6U);
    EXPECT_EQ(json["rows"][0]["metric"], "accuracy");
    EXPECT_THAT(table(0, OutputFormat::csv), HasSubstr("study,stage,variant,part,metric,goal,seeds,value,"));
}

}  // namespace
}  // namespace orchestrate
