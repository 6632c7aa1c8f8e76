// What an option of the command line takes as a number that need not be whole. CLI11's own checks let "nan" pass, take "inf",
// and print limits with 300 digits.
#pragma once

#include <cmath>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace orchestrate {

// All of `text`, read as CLI11 reads it; nothing if it is no finite number.
inline std::optional<double> option_number(const std::string& text) {
    try {
        std::size_t read = 0;
        const double number = std::stod(text, &read);
        return read == text.size() && std::isfinite(number) ? std::optional(number) : std::nullopt;
    } catch (const std::exception&) {
        return std::nullopt;
    }
}

inline CLI::Validator finite_number_check(const std::string& expected, bool (*fits)(double)) {
    return {[expected, fits](const std::string& text) {
                const auto number = option_number(text);
                return number && fits(*number) ? std::string()
                                               : fmt::format("found '{}'; expected {}", text, expected);
            },
            ""};
}

inline CLI::Validator positive_number() {
    return finite_number_check("a number above 0, such as 1.5", [](double number) { return number > 0; });
}

inline CLI::Validator seconds_or_none() {
    return finite_number_check("seconds, from 0 to a year (31536000)",
                               [](double number) { return number >= 0 && number <= 31'536'000; });
}

inline CLI::Validator heartbeat_seconds() {
    return finite_number_check("seconds from 0.05 to 3600",
                               [](double number) { return number >= 0.05 && number <= 3600; });
}

}  // namespace orchestrate
