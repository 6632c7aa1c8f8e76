#include "coordinator/report/terminal_text.h"

#include <gtest/gtest.h>

namespace orchestrate {
namespace {

// Whatever the pieces are, the text is the same.
std::string in_pieces_of(const std::string& text, std::size_t size) {
    TerminalText shown;
    std::string result;
    for (std::size_t begin = 0; begin < text.size(); begin += size) {
        result += shown.add(std::string_view(text).substr(begin, size));
    }
    return result + shown.finish();
}

TEST(TerminalTextTest, ShowsLinesAndNothingThatControlsATerminal) {
    const std::string text =
        "m\u00fcller \u97f3\u697d\U0001f3b5\tx\r\n50 %\r100 %\n\x1b[2J\x07\xff\xc2\x9b\u202eend\xe2\x82";
    const std::string expected =
        "m\u00fcller \u97f3\u697d\U0001f3b5\tx\n50 %\n100 %\n\\x1b[2J\\x07\ufffd\\x9b\\u202eend\ufffd";
    for (std::size_t size = 1; size <= text.size(); ++size) {
        EXPECT_EQ(in_pieces_of(text, size), expected) << size;
    }
}

TEST(TerminalTextTest, PlainTextIsNotHeldBack) {
    TerminalText shown;
    EXPECT_EQ(shown.add("epoch 1"), "epoch 1");
    EXPECT_EQ(shown.add(": \u00fc"), ": \u00fc");
    EXPECT_EQ(shown.finish(), "");
}

}  // namespace
}  // namespace orchestrate
