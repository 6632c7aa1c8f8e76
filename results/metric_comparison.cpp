#include "results/metric_comparison.h"

#include <algorithm>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include "results/display_width.h"
#include "results/number_text.h"
#include "results/spread_column.h"
#include "results/tables.h"

namespace orchestrate {
namespace {

// By the means, of which the spreads follow.
NumberFormat format_of_column(const std::vector<Spread>& spreads) {
    std::vector<double> means;
    for (const auto& spread : spreads) {
        if (spread.mean) {
            means.push_back(*spread.mean);
        }
    }
    return format_of(means);
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
    const auto written_as = [](const NumberFormat& format) {
        return [format](double value, bool with_sign) { return number_text(value, format, with_sign); };
    };
    NumberFormat first_format;
    for (std::size_t place = 0; place < metrics.size(); ++place) {
        std::vector<Spread> spreads;
        for (const auto& row : rows) {
            spreads.push_back(summary_of(row, place).spread);
        }
        const NumberFormat format = format_of_column(spreads);
        first_format = place == 0 ? format : first_format;
        add_column(metrics[place].name, spread_column(spreads, blank, written_as(format), false, compact));
    }
    if (std::any_of(rows.begin(), rows.end(), [](const VariantRow& row) { return row.is_baseline; })) {
        const auto differences = differences_to_baseline(stage, 0);
        std::vector<Spread> spreads;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            spreads.push_back(differences[i].spread);
            blank[i] = rows[i].is_baseline;
        }
        add_column(compact ? "diff." : "difference",
                   spread_column(spreads, blank, written_as(first_format), true, compact));
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
        fewest = seeds > 0 ? std::min(fewest, seeds) : fewest;
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
