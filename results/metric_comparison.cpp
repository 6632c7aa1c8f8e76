#include "results/metric_comparison.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include "results/display_width.h"
#include "results/spread_column.h"
#include "results/tables.h"

namespace orchestrate {
namespace {

constexpr int kDigits = 4;  // significant ones of the median mean of a column
constexpr int kMostDecimals = 8;

// So many that the median mean has kDigits digits: 0.9123, 51.20, 1234. One outlier leaves the others readable.
int decimals_of(const std::vector<Spread>& spreads) {
    std::vector<double> sizes;
    for (const auto& spread : spreads) {
        if (spread.mean && *spread.mean != 0) {
            sizes.push_back(std::abs(*spread.mean));
        }
    }
    if (sizes.empty()) {
        return kDigits - 1;
    }
    const auto middle = sizes.begin() + static_cast<std::ptrdiff_t>((sizes.size() - 1) / 2);
    std::nth_element(sizes.begin(), middle, sizes.end());
    return std::clamp(kDigits - 1 - static_cast<int>(std::floor(std::log10(*middle))), 0, kMostDecimals);
}

// "0.912", with a sign "+0.030"; a zero has none.
std::string number_text(double value, int decimals, bool with_sign) {
    std::string text = fmt::format("{:.{}f}", value, decimals);
    const bool is_zero = text.find_first_of("123456789") == std::string::npos;
    if (is_zero && text.front() == '-') {
        text.erase(0, 1);
    }
    return with_sign && !is_zero && value > 0 ? "+" + text : text;
}

std::string table_of(const StageRows& stage, bool compact, std::size_t max_width) {
    const auto& rows = stage.variants;
    const auto& metrics = stage.metrics;
    std::vector<std::string> header = {"variant"};
    std::vector<std::vector<std::string>> cells;
    for (const auto& row : rows) {
        cells.push_back({row.name});
    }
    const auto add_column = [&](const std::string& name, const std::vector<std::string>& column) {
        header.push_back(name);
        for (std::size_t i = 0; i < cells.size(); ++i) {
            cells[i].push_back(column[i]);
        }
    };
    std::vector<bool> blank(rows.size(), false);
    const auto with_decimals = [](int decimals) {
        return [decimals](double value, bool with_sign) { return number_text(value, decimals, with_sign); };
    };
    int first_decimals = 0;
    for (std::size_t place = 0; place < metrics.size(); ++place) {
        std::vector<Spread> spreads;
        for (const auto& row : rows) {
            spreads.push_back(summary_of(row, place).spread);
        }
        const int decimals = decimals_of(spreads);
        first_decimals = place == 0 ? decimals : first_decimals;
        add_column(metrics[place].name,
                   spread_column(spreads, blank, with_decimals(decimals), false, compact));
    }
    if (std::any_of(rows.begin(), rows.end(), [](const VariantRow& row) { return row.is_baseline; })) {
        const auto differences = differences_to_baseline(stage, 0);
        std::vector<Spread> spreads;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            spreads.push_back(differences[i].spread);
            blank[i] = rows[i].is_baseline;
        }
        add_column(compact ? "diff." : "difference",
                   spread_column(spreads, blank, with_decimals(first_decimals), true, compact));
    }
    std::vector<std::string> jobs;
    for (const auto& row : rows) {
        jobs.push_back(fmt::format("{}/{}", row.succeeded(), row.seeds.size()));
    }
    add_column("jobs", jobs);
    return render_text_table(header, cells, max_width);
}

std::string legend_of(const StageRows& stage) {
    const StageMetric& first = stage.metrics.front();
    std::int64_t fewest = std::numeric_limits<std::int64_t>::max();
    std::int64_t most = 0;
    for (const auto& row : stage.variants) {
        const std::int64_t seeds = summary_of(row, 0).count;
        fewest = std::min(fewest, seeds);
        most = std::max(most, seeds);
    }
    if (most == 0) {
        return "No job has a result yet.";
    }
    std::string text =
        "As the command reports them for the test part; " + spread_legend(fewest, most, "seed", "seeds");
    const auto differences = differences_to_baseline(stage, 0);
    if (std::any_of(differences.begin(), differences.end(),
                    [](const Summary& difference) { return difference.spread.mean.has_value(); })) {
        text += fmt::format(" Difference: {} minus the baseline's with the same seed; {} is better.",
                            first.name, first.is_better_high ? "higher" : "lower");
    }
    return text;
}

}  // namespace

std::string metric_table(const StageRows& stage, std::size_t max_width) {
    std::string table = table_of(stage, false, 0);
    if (max_width > 0 && display_width(std::string_view(table).substr(0, table.find('\n'))) > max_width) {
        table = table_of(stage, true, max_width);
    }
    return table + "\n" + wrapped_note(legend_of(stage), max_width);
}

}  // namespace orchestrate
