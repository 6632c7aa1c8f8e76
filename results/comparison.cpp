#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/base/counted.h"
#include "common/base/json.h"
#include "common/metrics/training_metrics.h"
#include "results/comparison_notes.h"
#include "results/display_width.h"
#include "results/metric_title.h"
#include "results/number_text.h"
#include "results/query_result.h"
#include "results/spread_column.h"
#include "results/stage_rows.h"
#include "results/study_lookup.h"
#include "results/tables.h"

namespace orchestrate {
namespace {

// "51.8"; with a sign, "+0.3", "-1.2" and "0.0".
std::string percent(double fraction, bool with_sign) {
    const double rounded = std::round(fraction * 1000) / 10;
    return with_sign && rounded != 0 ? fmt::format("{:+.1f}", rounded)
                                     : fmt::format("{:.1f}", std::abs(rounded));
}

// How a metric's values are written: in percent, or with decimals by the means of its column.
NumberText text_of(const MetricDeclaration& metric, const std::vector<Spread>& column) {
    if (metric.unit == MetricUnit::fraction) {
        return percent;
    }
    std::vector<double> means;
    for (const Spread& spread : column) {
        if (spread.mean) {
            means.push_back(*spread.mean);
        }
    }
    return [format = format_of(means)](double value, bool with_sign) {
        return number_text(value, format, with_sign);
    };
}

std::vector<Spread> column_of(const StageRows& stage, std::size_t metric) {
    std::vector<Spread> column;
    column.reserve(stage.variants.size());
    for (const VariantRow& variant : stage.variants) {
        column.push_back(summary_of(variant, metric).spread);
    }
    return column;
}

std::string table_text(const StageRows& stage, bool compact, std::size_t max_width) {
    const auto& variants = stage.variants;
    std::vector<std::string> header = {"variant"};
    std::vector<std::vector<std::string>> rows;
    for (const VariantRow& variant : variants) {
        rows.push_back({variant.name});
    }
    const auto add_column = [&](std::string name, const std::vector<std::string>& cells) {
        header.push_back(std::move(name));
        for (std::size_t i = 0; i < rows.size(); ++i) {
            rows[i].push_back(cells[i]);
        }
    };
    std::vector<bool> blank(variants.size(), false);
    NumberText primary_text = percent;
    for (std::size_t place = 0; place < stage.metrics.size(); ++place) {
        const auto column = column_of(stage, place);
        const NumberText text = text_of(stage.metrics[place], column);
        if (place == stage.primary_metric) {
            primary_text = text;
        }
        add_column(metric_title(stage.metrics[place].name),
                   spread_column(column, blank, text, false, compact));
    }
    if (std::ranges::any_of(variants, &VariantRow::is_baseline) && !stage.metrics.empty()) {
        const auto differences = differences_to_baseline(stage, stage.primary_metric);
        std::vector<Spread> spreads(variants.size());
        for (std::size_t i = 0; i < variants.size(); ++i) {
            spreads[i] = differences[i].spread;
            blank[i] = variants[i].is_baseline;
        }
        add_column(compact ? "diff." : "difference",
                   spread_column(spreads, blank, primary_text, true, compact));
    }
    std::vector<std::string> jobs;
    jobs.reserve(variants.size());
    for (const VariantRow& variant : variants) {
        jobs.push_back(fmt::format("{}/{}", variant.succeeded(), variant.seeds.size()));
    }
    add_column("jobs", jobs);
    return render_text_table(header, rows, max_width);
}

std::size_t first_line_width(const std::string& text) {
    return display_width(std::string_view(text).substr(0, text.find('\n')));
}

// What the jobs of a variant differ in: "seeds" and "seed", or "runs (seeds and folds)" and "seed and fold".
struct Repetition {
    std::string many = "seeds";
    std::string one = "seed";
};

Repetition repetition_of(SQLite::Database& database, std::int64_t stage_id, const StageRows& stage) {
    std::size_t max_seeds = 0;
    std::size_t max_runs = 0;  // of a seed
    bool are_repeated = false;
    for (const VariantRow& variant : stage.variants) {
        if (variant.is_ensemble) {
            continue;
        }
        std::set<std::pair<std::int64_t, std::int64_t>> seeds;
        for (const SeedRow& row : variant.seeds) {
            seeds.insert({row.initialization_seed, row.data_order_seed});
        }
        max_seeds = std::max(max_seeds, seeds.size());
        max_runs = std::max(max_runs, variant.seeds.size() / std::max<std::size_t>(1, seeds.size()));
        are_repeated = are_repeated || variant.seeds.size() > seeds.size();
    }
    if (!are_repeated) {
        return {};
    }
    SQLite::Statement folds(
        database,
        "SELECT max(coalesce(json_extract(config, '$.data.split.folds'), 0)) FROM variants "
        "WHERE stage_id = ? AND hidden = 0 AND is_ensemble = 0");
    folds.bind(1, stage_id);
    folds.executeStep();
    const auto count = static_cast<std::size_t>(folds.getColumn(0).getInt());
    if (count > 0 && max_runs > count) {  // folds of several splits
        return {max_seeds > 1 ? "runs (seeds, splits and folds)" : "runs (splits and folds)",
                max_seeds > 1 ? "seed, split and fold" : "split and fold"};
    }
    const std::string other = count > 0 ? "fold" : "split";
    if (max_seeds > 1) {
        return {"runs (seeds and " + other + "s)", "seed and " + other};
    }
    return {other + "s", other};
}

// "In %, on the test part", "On the test part; accuracy and macro F1 in %".
std::string legend_of_units(const StageRows& stage) {
    std::vector<std::string> fractions;
    for (const MetricDeclaration& metric : stage.metrics) {
        if (metric.unit == MetricUnit::fraction) {
            fractions.push_back(metric_title(metric.name));
        }
    }
    if (fractions.empty()) {
        return "As reported for the test part; ";
    }
    return fractions.size() == stage.metrics.size()
               ? "In %, on the test part; "
               : fmt::format("On the test part ({} in %); ", fmt::join(fractions, ", "));
}

// What the numbers are.
std::string legend(const StageRows& stage, const Repetition& repetition) {
    const std::size_t primary = stage.primary_metric;
    std::int64_t fewest = std::numeric_limits<std::int64_t>::max();
    std::int64_t most = 0;
    for (const VariantRow& row : stage.variants) {
        const std::int64_t measured = stage.metrics.empty() ? 0 : summary_of(row, primary).count;
        most = std::max(most, measured);
        if (!row.is_ensemble && measured > 0) {  // of all seeds together there is one result
            fewest = std::min(fewest, measured);
        }
    }
    if (most == 0) {
        return "No job has a result yet.";
    }
    std::string text = legend_of_units(stage) + spread_legend(fewest, most, repetition.one, repetition.many);
    const auto differences = differences_to_baseline(stage, primary);
    if (std::ranges::any_of(differences, [](const Summary& one) { return one.spread.mean.has_value(); })) {
        const MetricDeclaration& metric = stage.metrics[primary];
        text += fmt::format(" Difference: {} minus the baseline's with the same {}{}.",
                            metric_title(metric.name), repetition.one,
                            metric.unit == MetricUnit::fraction ? ", in percentage points"
                            : metric.goal == MetricGoal::max    ? "; higher is better"
                                                                : "; lower is better");
    }
    return text;
}

// Whether the view `comparison` has all columns of the table.
bool is_in_comparison_view(const StageRows& stage) {
    return std::ranges::all_of(stage.metrics, [](const MetricDeclaration& metric) {
        const auto known = enum_from_name<TrainingMetric>(metric.name);
        return known && declaration_of(*known) == metric;
    });
}

std::string comparison_json(const StageReference& stage, const QueryResult& result,
                            const std::vector<std::string>& notes) {
    nlohmann::ordered_json json;
    json["study"] = stage.study;
    json["stage"] = stage.stage;
    json["rows"] = nlohmann::ordered_json::array();
    for (std::size_t row = 0; row < result.rows.size(); ++row) {
        json["rows"].push_back(row_json(result, row));
    }
    json["notes"] = notes;
    return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string render_comparison(SQLite::Database& database, const std::string& study,
                              const std::optional<std::string>& stage, std::size_t max_width,
                              OutputFormat format, const std::vector<std::string>& metrics) {
    const StageReference found = find_stage(database, study, stage);
    const StageRows rows = read_stage_rows(database, found.stage_id, metrics);
    const std::vector<std::string> notes = comparison_notes(database, found.stage_id, rows);
    if (format != OutputFormat::table) {
        SQLite::Statement query(
            database,
            !metrics.empty() || !is_in_comparison_view(rows)
                ? "SELECT study, stage, variant, part, metric, goal, seeds, value, value_sd, pairs, "
                  "difference, difference_sd FROM metric_comparison WHERE study = ?1 AND stage = ?2 AND "
                  "(json_array_length(?3) = 0 OR metric IN (SELECT value FROM json_each(?3)))"
                : "SELECT * FROM comparison WHERE study = ? AND stage = ?");
        query.bind(1, found.study);
        query.bind(2, found.stage);
        if (query.getBindParameterCount() > 2) {
            query.bind(3, Json(metrics).dump());
        }
        const QueryResult result = read_rows(query);
        return format == OutputFormat::json ? comparison_json(found, result, notes) : rows_csv(result);
    }
    std::string text = wrapped_note(fmt::format("{}, stage {}, {}", found.study, found.stage,
                                                counted(std::ssize(rows.variants), "variant")),
                                    max_width) +
                       "\n";
    if (rows.variants.empty()) {
        return text +
               wrapped_note("This stage has no variants yet: it begins when the stage before it is done.",
                            max_width);
    }
    std::string table = table_text(rows, false, 0);
    if (max_width > 0 && first_line_width(table) > max_width) {
        table = table_text(rows, true, max_width);
    }
    text +=
        table + "\n" + wrapped_note(legend(rows, repetition_of(database, found.stage_id, rows)), max_width);
    for (const std::string& note : notes) {
        text += wrapped_note(escaped(note), max_width);
    }
    return text;
}

}  // namespace orchestrate
