#include "results/spread_column.h"

#include <algorithm>

#include <fmt/format.h>

#include "results/display_width.h"

namespace orchestrate {
std::vector<std::string> spread_column(const std::vector<Spread>& spreads, const std::vector<bool>& blank,
                                       const NumberText& text, bool with_sign, bool compact) {
    std::vector<std::string> means;
    std::vector<std::string> deviations;
    std::size_t mean_width = 0;
    std::size_t deviation_width = 0;
    for (std::size_t i = 0; i < spreads.size(); ++i) {
        const auto& [mean, deviation] = spreads[i];
        means.push_back(mean ? text(*mean, with_sign) : blank[i] ? "" : "-");
        deviations.push_back(
            deviation ? fmt::format("{}\u00b1{}", compact ? "" : " ", text(*deviation, false)) : "");
        mean_width = std::max(mean_width, means.back().size());
        deviation_width = std::max(deviation_width, display_width(deviations.back()));
    }
    std::vector<std::string> cells;
    for (std::size_t i = 0; i < spreads.size(); ++i) {
        cells.push_back(std::string(mean_width - means[i].size(), ' ') + means[i] + deviations[i] +
                        std::string(deviation_width - display_width(deviations[i]), ' '));
    }
    return cells;
}

std::string spread_legend(std::int64_t fewest, std::int64_t most, const std::string& one,
                          const std::string& many) {
    if (most == 1) {
        return "one " + one + " each, so no spread is known.";
    }
    return fmt::format("mean \u00b1 standard deviation over {} {} (n - 1).",
                       fewest == most ? std::to_string(most) : fmt::format("{} to {}", fewest, most), many);
}

}  // namespace orchestrate
