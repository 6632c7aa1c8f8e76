#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "results/comparison_notes.h"
#include "results/display_width.h"
#include "results/metric_comparison.h"
#include "results/query_result.h"
#include "results/spread_column.h"
#include "results/study_lookup.h"
#include "results/tables.h"

namespace orchestrate {
namespace {

struct VariantRow {
    std::string name;
    bool is_baseline = false;
    bool is_ensemble = false;
    std::int64_t jobs = 0;
    std::int64_t succeeded = 0;
    std::int64_t measured = 0;
    std::vector<Spread> metrics;  // accuracy, macro precision, macro recall, macro F1
    Spread difference;
};

std::vector<VariantRow> read_variants(SQLite::Database& database, std::int64_t stage_id) {
    SQLite::Statement query(
        database,
        "SELECT variant, is_baseline, jobs, succeeded, measured, accuracy, accuracy_sd, "
        "macro_precision, macro_precision_sd, macro_recall, macro_recall_sd, macro_f1, "
        "macro_f1_sd, difference, difference_sd, is_ensemble FROM variant_summary WHERE stage_id = ? "
        "ORDER BY is_baseline DESC, variant_position, variant_id");
    query.bind(1, stage_id);
    std::vector<VariantRow> variants;
    while (query.executeStep()) {
        VariantRow& row = variants.emplace_back();
        row.name = query.getColumn(0).getString();
        row.is_baseline = query.getColumn(1).getInt() != 0;
        row.jobs = query.getColumn(2).getInt64();
        row.succeeded = query.getColumn(3).getInt64();
        row.measured = query.getColumn(4).getInt64();
        row.metrics = {read_spread(query, 5), read_spread(query, 7), read_spread(query, 9),
                       read_spread(query, 11)};
        row.difference = read_spread(query, 13);
        row.is_ensemble = query.getColumn(15).getInt() != 0;
    }
    return variants;
}

// "51.8"; with a sign, "+0.3", "-1.2" and "0.0".
std::string percent(double fraction, bool with_sign) {
    const double rounded = std::round(fraction * 1000) / 10;
    return with_sign && rounded != 0 ? fmt::format("{:+.1f}", rounded)
                                     : fmt::format("{:.1f}", std::abs(rounded));
}

std::string table_text(const std::vector<VariantRow>& variants, bool compact, std::size_t max_width) {
    const bool has_baseline =
        std::any_of(variants.begin(), variants.end(), [](const VariantRow& row) { return row.is_baseline; });
    std::vector<std::string> header = {"variant", "accuracy", "macro P", "macro R", "macro F1"};
    std::vector<std::vector<std::string>> rows;
    for (const VariantRow& variant : variants) {
        rows.push_back({variant.name});
    }
    const auto add_column = [&](const std::vector<std::string>& cells) {
        for (std::size_t i = 0; i < rows.size(); ++i) {
            rows[i].push_back(cells[i]);
        }
    };
    std::vector<Spread> spreads(variants.size());
    std::vector<bool> blank(variants.size(), false);
    for (std::size_t metric = 0; metric < header.size() - 1; ++metric) {
        std::transform(variants.begin(), variants.end(), spreads.begin(),
                       [&](const VariantRow& row) { return row.metrics[metric]; });
        add_column(spread_column(spreads, blank, percent, false, compact));
    }
    if (has_baseline) {
        header.emplace_back(compact ? "diff. F1" : "difference");
        for (std::size_t i = 0; i < variants.size(); ++i) {
            spreads[i] = variants[i].difference;
            blank[i] = variants[i].is_baseline;
        }
        add_column(spread_column(spreads, blank, percent, true, compact));
    }
    header.emplace_back("jobs");
    std::vector<std::string> jobs;
    for (const VariantRow& variant : variants) {
        jobs.push_back(fmt::format("{}/{}", variant.succeeded, variant.jobs));
    }
    add_column(jobs);
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

Repetition repetition_of(SQLite::Database& database, std::int64_t stage_id) {
    SQLite::Statement query(
        database,
        "SELECT max(seeds), max(jobs > seeds), max(folds) FROM (SELECT count(*) AS jobs, "
        "count(DISTINCT rows.initialization_seed || '/' || rows.data_order_seed) AS seeds, "
        "max(coalesce(json_extract(variants.config, '$.data.split.folds'), 0)) AS folds "
        "FROM seed_result AS rows JOIN variants ON variants.id = rows.variant_id "
        "WHERE rows.stage_id = ? AND rows.is_ensemble = 0 GROUP BY rows.variant_id)");
    query.bind(1, stage_id);
    query.executeStep();
    if (query.getColumn(1).getInt() == 0) {
        return {};
    }
    const std::string other = query.getColumn(2).getInt() > 0 ? "fold" : "split";
    if (query.getColumn(0).getInt() > 1) {
        return {"runs (seeds and " + other + "s)", "seed and " + other};
    }
    return {other + "s", other};
}

// What the numbers are.
std::string legend(const std::vector<VariantRow>& variants, const Repetition& repetition) {
    bool has_difference = false;
    std::int64_t fewest = std::numeric_limits<std::int64_t>::max();
    std::int64_t most = 0;
    for (const VariantRow& row : variants) {
        has_difference = has_difference || row.difference.mean.has_value();
        most = std::max(most, row.measured);
        if (!row.is_ensemble) {  // of all seeds together there is one result
            fewest = std::min(fewest, row.measured);
        }
    }
    if (most == 0) {
        return "No job has a result yet.";
    }
    std::string text =
        "In %, on the test part; " + spread_legend(fewest, most, repetition.one, repetition.many);
    if (has_difference) {
        text += " Difference: macro F1 minus the baseline's with the same " + repetition.one +
                ", in percentage points.";
    }
    return text;
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
                              OutputFormat format) {
    const StageReference found = find_stage(database, study, stage);
    const std::vector<std::string> notes = comparison_notes(database, found.stage_id);
    if (format != OutputFormat::table) {
        SQLite::Statement query(
            database,
            has_named_metrics(database, found.stage_id)
                ? "SELECT study, stage, variant, part, metric, goal, seeds, value, value_sd, pairs, "
                  "difference, difference_sd FROM metric_comparison WHERE study = ? AND stage = ?"
                : "SELECT * FROM comparison WHERE study = ? AND stage = ?");
        query.bind(1, found.study);
        query.bind(2, found.stage);
        const QueryResult rows = read_rows(query);
        return format == OutputFormat::json ? comparison_json(found, rows, notes) : rows_csv(rows);
    }
    const std::vector<VariantRow> variants = read_variants(database, found.stage_id);
    std::string text =
        wrapped_note(fmt::format("{}, stage {}, {} variants", found.study, found.stage, variants.size()),
                     max_width) +
        "\n";
    if (variants.empty()) {
        return text +
               wrapped_note("This stage has no variants yet: it begins when the stage before it is done.",
                            max_width);
    }
    if (has_named_metrics(database, found.stage_id)) {
        text += metric_table(database, found.stage_id, max_width);
    } else {
        std::string table = table_text(variants, false, 0);
        if (max_width > 0 && first_line_width(table) > max_width) {
            table = table_text(variants, true, max_width);
        }
        text +=
            table + "\n" + wrapped_note(legend(variants, repetition_of(database, found.stage_id)), max_width);
    }
    for (const std::string& note : notes) {
        text += wrapped_note(printable(note), max_width);
    }
    return text;
}

}  // namespace orchestrate
