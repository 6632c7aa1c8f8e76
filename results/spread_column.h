// A column of a comparison table: means over seeds with what they vary by.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace orchestrate {

// A mean over seeds with its sample standard deviation.
struct Spread {
    std::optional<double> mean;
    std::optional<double> deviation;
};

// How a number is written, with or without the sign of a positive one.
using NumberText = std::function<std::string(double value, bool with_sign)>;

// Cells of one width: means right-aligned, deviations left-aligned after them; "-" where there is no mean. `blank`: rows
// that show nothing. `compact`: without a space in between.
std::vector<std::string> spread_column(const std::vector<Spread>& spreads, const std::vector<bool>& blank,
                                       const NumberText& text, bool with_sign, bool compact);

// What such numbers are, of variants that were repeated so often: "mean ± standard deviation over 2 seeds (n - 1)."
// `one` and `many` name what the repetitions differ in.
std::string spread_legend(std::int64_t fewest, std::int64_t most, const std::string& one,
                          const std::string& many);

}  // namespace orchestrate
