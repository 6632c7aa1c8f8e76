// Every SQL block of results/README.md runs and finds something; every view is documented with its columns.
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "filled_database.h"
#include "results/tables.h"

namespace orchestrate {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string readme() {
    std::ifstream stream(ORCHESTRATE_SOURCE_DIR "/results/README.md");
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

std::vector<std::string> sql_blocks() {
    const std::string text = readme();
    const std::string open = "```sql\n";
    std::vector<std::string> blocks;
    for (std::size_t begin = text.find(open); begin != std::string::npos; begin = text.find(open, begin)) {
        begin += open.size();
        blocks.push_back(text.substr(begin, text.find("```", begin) - begin));
    }
    return blocks;
}

TEST(Readme, EveryQueryRunsAndFindsSomething) {
    FilledDatabase filled;
    add_punk_or_funk(filled);
    const auto blocks = sql_blocks();
    ASSERT_GE(blocks.size(), 5U);
    for (const std::string& sql : blocks) {
        std::string answer;
        ASSERT_NO_THROW(answer = render_query(filled.database(), sql, 0)) << sql;
        EXPECT_THAT(answer, Not(HasSubstr("(no rows)"))) << sql;
    }
}

// The answers themselves, on numbers that are known.
TEST(Readme, QueriesAnswerTheirQuestions) {
    FilledDatabase filled;
    add_punk_or_funk(filled);
    const auto blocks = sql_blocks();
    ASSERT_GE(blocks.size(), 6U);
    // F1 of change i and seed s: 51 - 2 i + s (i + 1); baseline 51 + s. Change 1: -2 and -1.
    EXPECT_EQ(filled.rows(blocks[0]).back(), "punk-or-funk-small|without popularity|2|-2.0|-1.0");
    EXPECT_EQ(filled.rows(blocks[0]).size(), 6U);
    EXPECT_EQ(filled.rows(blocks[1]).front(), "Tanh|funk|2|32.5|-9.0");
    EXPECT_EQ(filled.rows(blocks[2]).front(), "funk|punk & ska|2|50.0");
    EXPECT_EQ(filled.rows(blocks[3])[1], "punk-or-funk-small|Tanh|2|2|0.5|0.8|50.0|2");
    EXPECT_EQ(filled.rows(blocks[4]).front(), "cpu avx2|14|0.12|0.0");  // 14 attempts of 30.5 s
    EXPECT_EQ(filled.rows(blocks[5]).front(), "7|funk|14|1");
}

TEST(Readme, DocumentsEveryView) {
    FilledDatabase filled;
    const std::string text = readme();
    for (const std::string& view : filled.rows("SELECT name FROM sqlite_schema WHERE type = 'view'")) {
        EXPECT_THAT(text, HasSubstr("| `" + view + "` |"));
    }
}

}  // namespace
}  // namespace orchestrate
