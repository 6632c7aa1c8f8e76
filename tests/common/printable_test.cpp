// What jobs and other programs print is shown, and does nothing else to a terminal.
#include "common/base/printable.h"

#include <gmock/gmock.h>

namespace orchestrate {
namespace {

struct Example {
    std::string_view text;
    std::string_view shown;
};

class Printable : public ::testing::TestWithParam<Example> {};

TEST_P(Printable, IsShown) {
    EXPECT_EQ(printable(GetParam().text), GetParam().shown);
}

using namespace std::string_view_literals;

INSTANTIATE_TEST_SUITE_P(
    Text, Printable,
    ::testing::Values(
        Example{"", ""}, Example{"plain text", "plain text"},
        Example{"Bj\xc3\xb6rk \xe6\xad\x8c \xf0\x9f\x8e\xb5", "Bj\xc3\xb6rk \xe6\xad\x8c \xf0\x9f\x8e\xb5"},
        Example{"\x1b[31mred\x1b[0m", "red"}, Example{"\x1b[2J\x1b[1;1Hgone", "gone"},
        Example{"\x1b]0;title\x07text", "text"}, Example{"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"},
        Example{"\x1bPq#0\x1b\\text", "text"}, Example{"\x1b(Btext\x1b=", "text"},
        Example{"\x1b]0;never ends", "\\x1b]0;never ends"}, Example{"\x1b[31", "\\x1b[31"},
        Example{"\x1b", "\\x1b"}, Example{"a\nb\rc\td", "a\\nb\\rc d"},
        Example{"a\0b\x07\x7f"sv, "a\\x00b\\x07\\x7f"}, Example{"\xc2\x9b[31m", "\\u009b[31m"},
        Example{"\xe2\x80\xae"
                "evil",
                "\\u202e"
                "evil"},
        Example{"\xe2\x80\xa8", "\\u2028"}, Example{"\xff\xc3", "\xef\xbf\xbd\xef\xbf\xbd"},
        Example{"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},  // half a surrogate pair
        Example{"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"}));

TEST(PrintableLines, KeepNewlines) {
    EXPECT_EQ(printable_lines("one\n\x1b[1mtwo\x1b[0m\n"), "one\ntwo\n");
    EXPECT_EQ(printable("a\tb", true), "a\tb");
}

}  // namespace
}  // namespace orchestrate
