#include "results/metric_comparison.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "results/display_width.h"
#include "results/spread_column.h"
#include "results/tables.h"

namespace orchestrate {
namespace {

constexpr int kDigits = 4;  // significant ones of the median mean of a column
constexpr int kMostDecimals = 8;

struct Metric {
    std::string name;
    bool is_better_high = true;
};

struct Row {
    std::string name;
    bool is_baseline = false;
    std::string jobs;
    std::map<std::string, Spread> values;  // by metric
    Spread difference;                     // of the first metric
    std::int64_t seeds = 0;
};

std::vector<Metric> read_metrics(SQLite::Database& database, std::int64_t stage_id) {
    SQLite::Statement query(database,
                            "SELECT name, goal FROM stage_metrics WHERE stage_id = ? ORDER BY position");
    query.bind(1, stage_id);
    std::vector<Metric> metrics;
    while (query.executeStep()) {
        metrics.push_back({query.getColumn(0).getString(), query.getColumn(1).getString() == "max"});
    }
    return metrics;
}

std::vector<Row> read_rows_of(SQLite::Database& database, std::int64_t stage_id,
                              const std::string& first_metric) {
    SQLite::Statement variants(database,
                               "SELECT variant_id, variant, is_baseline, succeeded || '/' || jobs "
                               "FROM variant_summary WHERE stage_id = ? "
                               "ORDER BY is_baseline DESC, variant_position, variant_id");
    variants.bind(1, stage_id);
    std::vector<Row> rows;
    std::map<std::int64_t, std::size_t> places;
    while (variants.executeStep()) {
        places[variants.getColumn(0).getInt64()] = rows.size();
        Row& row = rows.emplace_back();
        row.name = variants.getColumn(1).getString();
        row.is_baseline = variants.getColumn(2).getInt() != 0;
        row.jobs = variants.getColumn(3).getString();
    }
    SQLite::Statement values(database,
                             "SELECT variant_id, metric, value, value_sd, difference, difference_sd, seeds "
                             "FROM metric_comparison WHERE stage_id = ? AND part = 'test'");
    values.bind(1, stage_id);
    while (values.executeStep()) {
        Row& row = rows.at(places.at(values.getColumn(0).getInt64()));
        const std::string metric = values.getColumn(1).getString();
        row.values[metric] = read_spread(values, 2);
        if (metric == first_metric) {
            row.difference = read_spread(values, 4);
            row.seeds = values.getColumn(6).getInt64();
        }
    }
    return rows;
}

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

std::string table_of(const std::vector<Row>& rows, const std::vector<Metric>& metrics, bool compact,
                     std::size_t max_width) {
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
            const auto found = row.values.find(metrics[place].name);
            spreads.push_back(found == row.values.end() ? Spread{} : found->second);
        }
        const int decimals = decimals_of(spreads);
        first_decimals = place == 0 ? decimals : first_decimals;
        add_column(metrics[place].name,
                   spread_column(spreads, blank, with_decimals(decimals), false, compact));
    }
    if (std::any_of(rows.begin(), rows.end(), [](const Row& row) { return row.is_baseline; })) {
        std::vector<Spread> spreads;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            spreads.push_back(rows[i].difference);
            blank[i] = rows[i].is_baseline;
        }
        add_column(compact ? "diff." : "difference",
                   spread_column(spreads, blank, with_decimals(first_decimals), true, compact));
    }
    std::vector<std::string> jobs;
    for (const auto& row : rows) {
        jobs.push_back(row.jobs);
    }
    add_column("jobs", jobs);
    return render_text_table(header, cells, max_width);
}

std::string legend_of(const std::vector<Row>& rows, const Metric& first) {
    const auto [fewest, most] = std::minmax_element(
        rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.seeds < b.seeds; });
    if (most == rows.end() || most->seeds == 0) {
        return "No job has a result yet.";
    }
    std::string text = "As the command reports them for the test part; " +
                       spread_legend(fewest->seeds, most->seeds, "seed", "seeds");
    if (std::any_of(rows.begin(), rows.end(),
                    [](const Row& row) { return row.difference.mean.has_value(); })) {
        text += fmt::format(" Difference: {} minus the baseline's with the same seed; {} is better.",
                            first.name, first.is_better_high ? "higher" : "lower");
    }
    return text;
}

}  // namespace

bool has_named_metrics(SQLite::Database& database, std::int64_t stage_id) {
    return !read_metrics(database, stage_id).empty();
}

std::string metric_table(SQLite::Database& database, std::int64_t stage_id, std::size_t max_width) {
    const auto metrics = read_metrics(database, stage_id);
    const auto rows = read_rows_of(database, stage_id, metrics.at(0).name);
    std::string table = table_of(rows, metrics, false, 0);
    if (max_width > 0 && display_width(std::string_view(table).substr(0, table.find('\n'))) > max_width) {
        table = table_of(rows, metrics, true, max_width);
    }
    return table + "\n" + wrapped_note(legend_of(rows, metrics.front()), max_width);
}

}  // namespace orchestrate
