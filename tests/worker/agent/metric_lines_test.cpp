// What a line of a command's report says, and what is said about lines that say nothing.
#include "worker/agent/metric_lines.h"

#include <gmock/gmock.h>

#include "common/base/error.h"

namespace orchestrate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(MetricLines, Progress) {
    const auto line = read_metric_line(R"({"step": 3, "steps": 10, "epoch": 1, "epochs": 2, "loss": 0.5})");
    ASSERT_TRUE(line.progress);
    EXPECT_EQ(line.progress->step, 3);
    EXPECT_EQ(line.progress->epochs, 2);
    EXPECT_EQ(line.progress->loss, 0.5);
    EXPECT_FALSE(line.epoch);
    EXPECT_THAT(line.result, IsEmpty());
}

TEST(MetricLines, AnEpochIsOfTheValidationPartAndTheEndOfTheTestPart) {
    const auto epoch = read_metric_line(R"({"epoch": 2, "metrics": {"f1": 1}})");
    ASSERT_TRUE(epoch.epoch);
    EXPECT_THAT(epoch.epoch->metrics, ElementsAre(MetricValue{MetricPart::validation, "f1", 1.0}));
    EXPECT_THAT(read_metric_line(R"({"metrics": {"f1": 1}})").result,
                ElementsAre(MetricValue{MetricPart::test, "f1", 1.0}));
    EXPECT_THAT(read_metric_line(R"({"metrics": {"f1": 1}, "part": "validation"})").result,
                ElementsAre(MetricValue{MetricPart::validation, "f1", 1.0}));
}

TEST(MetricLines, NumbersThatJsonCannotWriteAreRefusedByName) {
    const auto line = read_metric_line(R"({"metrics": {"a": NaN, "b": 1, "c": "x", "d NaN": -Infinity}})");
    EXPECT_THAT(line.result, ElementsAre(MetricValue{MetricPart::test, "b", 1.0}));
    ASSERT_EQ(line.refused.size(), 3U);
    EXPECT_EQ(line.refused[0].found, "NaN");
    EXPECT_TRUE(line.refused[0].is_not_finite);
    EXPECT_EQ(line.refused[1].found, "\"x\"");
    EXPECT_FALSE(line.refused[1].is_not_finite);
    EXPECT_EQ(line.refused[2].name, "d NaN");
    EXPECT_TRUE(line.refused[2].is_not_finite);
}

TEST(MetricLines, ALossThatIsNotFiniteLeavesTheProgress) {
    const auto line = read_metric_line(R"({"step": 3, "loss": NaN})");
    ASSERT_TRUE(line.progress);
    EXPECT_EQ(line.progress->step, 3);
}

struct InvalidStudy {
    const char* line;
    const char* message;
};

class InvalidLine : public ::testing::TestWithParam<InvalidStudy> {};

TEST_P(InvalidLine, IsExplained) {
    try {
        read_metric_line(GetParam().line);
        FAIL() << "was understood";
    } catch (const UserError& error) {
        EXPECT_THAT(error.what(), HasSubstr(GetParam().message));
    }
}

INSTANTIATE_TEST_SUITE_P(
    MetricLines, InvalidLine,
    ::testing::Values(InvalidStudy{"accuracy: 0.5", "is no valid JSON"},
                      InvalidStudy{"[1]", "expected a JSON object"},
                      InvalidStudy{R"({"metrics": {"loss": nothing}})", "is no valid JSON"},
                      InvalidStudy{R"({"metrics": NaN})", "'metrics' is NaN, expected numbers by name"},
                      InvalidStudy{R"({"step": NaN})", "'step' is NaN, expected an integer"},
                      InvalidStudy{R"({"step": 99999999999999999999})", "expected an integer"},
                      InvalidStudy{R"({"metrics": {}})", "expected numbers by name"},
                      InvalidStudy{R"({"metrics": 0.5})", "expected numbers by name"},
                      InvalidStudy{R"({"metrics": {"": 0.5}})", "a metric's name has 0 bytes"},
                      InvalidStudy{R"({"metrcs": {"loss": 1}})", "did you mean 'metrics'?"},
                      InvalidStudy{R"({"metrics": {"loss": 1}, "part": "tests"})", "did you mean 'test'?"},
                      InvalidStudy{R"({"epoch": 0, "metrics": {"loss": 1}})",
                                   "'epoch' is 0, expected an integer of at least 1"},
                      InvalidStudy{R"({"step": 1.5})", "'step' is 1.5"},
                      InvalidStudy{R"({"step": -1})", "'step' is -1"},
                      InvalidStudy{R"({"part": "test"})", "'part' without 'metrics'"},
                      InvalidStudy{R"({"steps": 4})", "says nothing"}, InvalidStudy{"{}", "says nothing"},
                      InvalidStudy{R"({"step": 1, "step": 2})", "stands twice"}));

TEST(LineSplitter, CutsWhereverPiecesEnd) {
    const std::string text = "one\ntwo\r\n\nbar 1\rbar 2\rbar 3\nlast";
    for (std::size_t size = 1; size <= text.size(); ++size) {
        LineSplitter splitter;
        std::vector<std::string> lines;
        for (std::size_t begin = 0; begin < text.size(); begin += size) {
            for (auto& line : splitter.add(std::string_view(text).substr(begin, size))) {
                lines.push_back(std::move(line));
            }
        }
        EXPECT_THAT(lines, ElementsAre("one", "two", "", "bar 3")) << size;
        EXPECT_EQ(splitter.rest(), "last");
    }
}

TEST(LineSplitter, KeepsNoEndlessLine) {
    LineSplitter splitter(10);
    EXPECT_THAT(splitter.add(std::string(1000, 'x')), IsEmpty());
    EXPECT_THAT(splitter.add("y\nnext\n"), ElementsAre(std::string(10, 'x'), "next"));
}

}  // namespace
}  // namespace orchestrate
