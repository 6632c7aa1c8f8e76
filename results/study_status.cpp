#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "results/query_result.h"
#include "results/tables.h"

namespace orchestrate {
namespace {

constexpr std::size_t kCancelledColumn = 9;
constexpr std::size_t kQuarantinedColumn = 10;
constexpr std::size_t kPausedColumn = 11;

}  // namespace

std::string render_study_status(SQLite::Database& database, std::size_t max_width, OutputFormat format) {
    SQLite::Statement query(
        database,
        "SELECT study, study_state, stage, variants, jobs, waiting, running, succeeded, failed, "
        "cancelled, quarantined, paused, created_at, finished_at FROM study_progress");
    const QueryResult progress = read_rows(query);
    if (format != OutputFormat::table) {
        return render(progress, max_width, format);
    }
    if (progress.rows.empty()) {
        return "No study was run in this database yet.\n";
    }
    // Shown where there are any.
    std::vector<std::size_t> rare_columns;
    for (const std::size_t column : {kPausedColumn, kCancelledColumn, kQuarantinedColumn}) {
        if (std::any_of(progress.rows.begin(), progress.rows.end(),
                        [&](const auto& row) { return cell_text(row[column]) != "0"; })) {
            rare_columns.push_back(column);
        }
    }
    std::vector<std::string> header = {"study", "state", "stage", "done", "running", "waiting", "failed"};
    for (const std::size_t column : rare_columns) {
        header.push_back(progress.columns[column]);
    }
    std::vector<std::vector<std::string>> rows;
    std::string last_study;
    for (const auto& row : progress.rows) {
        const std::string study = cell_text(row[0]);
        const bool continues = study == last_study;
        auto& cells = rows.emplace_back();
        cells = {continues ? "" : study, continues ? "" : cell_text(row[1]),
                 cell_text(row[2]),      fmt::format("{}/{}", cell_text(row[7]), cell_text(row[4])),
                 cell_text(row[6]),      cell_text(row[5]),
                 cell_text(row[8])};
        for (const std::size_t column : rare_columns) {
            cells.push_back(cell_text(row[column]));
        }
        last_study = study;
    }
    return render_text_table(header, rows, max_width);
}

}  // namespace orchestrate
