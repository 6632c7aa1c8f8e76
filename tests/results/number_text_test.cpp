// Numbers of any size stay readable.
#include "results/number_text.h"

#include <gtest/gtest.h>

namespace orchestrate {
namespace {

std::vector<std::string> column(const std::vector<double>& values, bool with_sign = false) {
    std::vector<std::string> texts;
    for (const double value : values) {
        texts.push_back(number_text(value, format_of(values), with_sign));
    }
    return texts;
}

using Texts = std::vector<std::string>;

TEST(NumberText, OfAColumnHasFourDigitsInTheMiddle) {
    EXPECT_EQ(column({0.9123, 0.5}), (Texts{"0.9123", "0.5000"}));
    EXPECT_EQ(column({51.2, 48.75, 60}), (Texts{"51.20", "48.75", "60.00"}));
    EXPECT_EQ(column({1, 1e-9}), (Texts{"1.000000", "0.000000"}));
    EXPECT_EQ(column({0.5, 1000}), (Texts{"0.500", "1000.000"}));
    EXPECT_EQ(column({1234.5, 999'999}), (Texts{"1234", "999999"}));
    EXPECT_EQ(column({0.5, 0.25, 1e-9}), (Texts{"0.5000", "0.2500", "0.0000"}));
}

TEST(NumberText, OfVeryLargeAndVerySmallNumbersIsScientific) {
    EXPECT_EQ(column({1e308, 1}), (Texts{"1.000e+308", "1.000"}));
    EXPECT_EQ(column({1e12, 1e-9}), (Texts{"1.000e+12", "1.000e-09"}));
    EXPECT_EQ(column({2e-5, -3e-7, 0}), (Texts{"2.000e-05", "-3.000e-07", "0"}));
    EXPECT_EQ(column({9'999'999, 1e7}), (Texts{"9999999", "1.000e+07"}));
    EXPECT_EQ(column({1e8, 5}, true), (Texts{"+1.000e+08", "+5.000"}));
}

TEST(NumberText, AZeroHasNoSign) {
    EXPECT_EQ(column({-0.0, 0.5}), (Texts{"0.0000", "0.5000"}));
    EXPECT_EQ(column({-0.00001, 0.5, 0.5}, true), (Texts{"0.0000", "+0.5000", "+0.5000"}));
    EXPECT_EQ(short_number(-0.0), "0");
    EXPECT_EQ(fixed_number(-0.0, 4), "0.0000");
}

TEST(NumberText, AloneHasFourDigits) {
    EXPECT_EQ(short_number(0.91234), "0.9123");
    EXPECT_EQ(short_number(12345.6), "12346");
    EXPECT_EQ(short_number(1.23456e12), "1.235e+12");
    EXPECT_EQ(short_number(-1e-9), "-1e-09");
    EXPECT_EQ(fixed_number(0.91234, 4), "0.9123");
    EXPECT_EQ(fixed_number(1e308, 4), "1e+308");
    EXPECT_EQ(fixed_number(1e-300, 4), "1e-300");
}

}  // namespace
}  // namespace orchestrate
