#include "results/number_text.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include <fmt/format.h>

namespace orchestrate {
namespace {

constexpr int kDigits = 4;  // significant ones
constexpr int kMaxDecimals = 8;
constexpr int kMaxDigits = 7;  // of the largest number of a column
constexpr double kLarge = 1e7;
constexpr double kSmall = 1e-4;

bool is_large(double value) {
    return std::abs(value) >= kLarge;
}

}  // namespace

std::string short_number(double value) {
    const double size = std::abs(value);
    if (size == 0) {
        return "0";
    }
    return size >= 1e4 && size < kLarge ? fmt::format("{:.0f}", value)
                                        : fmt::format("{:.{}g}", value, kDigits);
}

std::string fixed_number(double value, int decimals) {
    const double size = std::abs(value);
    return size == 0 || (size >= kSmall && size < kLarge) ? number_text(value, {decimals, false}, false)
                                                          : short_number(value);
}

NumberFormat format_of(const std::vector<double>& values) {
    std::vector<double> sizes;
    bool any_large = false;
    for (const double value : values) {
        any_large = any_large || is_large(value);
        if (value != 0 && !is_large(value)) {
            sizes.push_back(std::abs(value));
        }
    }
    if (sizes.empty()) {
        return {kDigits - 1, any_large};
    }
    const double largest = *std::max_element(sizes.begin(), sizes.end());
    if (largest < kSmall) {
        return {kDigits - 1, true};
    }
    const auto middle = sizes.begin() + static_cast<std::ptrdiff_t>((sizes.size() - 1) / 2);
    std::nth_element(sizes.begin(), middle, sizes.end());
    const auto decimals_for = [](double size, int digits) {
        return digits - 1 - static_cast<int>(std::floor(std::log10(size)));
    };
    return {std::clamp(std::min(decimals_for(*middle, kDigits), decimals_for(largest, kMaxDigits)), 0,
                       kMaxDecimals),
            false};
}

std::string number_text(double value, const NumberFormat& format, bool with_sign) {
    const bool in_powers = value != 0 && (format.scientific || is_large(value));
    std::string text = in_powers ? fmt::format("{:.{}e}", value, kDigits - 1)
                                 : fmt::format("{:.{}f}", value, format.scientific ? 0 : format.decimals);
    const bool is_zero = text.find_first_of("123456789n") == std::string::npos;
    if (is_zero && text.front() == '-') {
        text.erase(0, 1);
    }
    return with_sign && !is_zero && value > 0 ? "+" + text : text;
}

}  // namespace orchestrate
