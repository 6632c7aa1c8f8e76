// Text tables for terminals and pipes, and what is read from the views: the comparison table of a study, the
// progress of all studies, any query. Nothing here writes to the database.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>
#include <boost/describe.hpp>

namespace orchestrate {

// table: aligned text for users. json, csv: for programs; exact values, nothing shortened or escaped for a
// terminal.
enum class OutputFormat { table, json, csv };
BOOST_DESCRIBE_ENUM(OutputFormat, table, json, csv)

// Columns padded to their widest cell (in terminal columns, not bytes), numbers right-aligned, a rule under
// the header. With `max_width` > 0, the widest text columns are shortened with an ellipsis so that lines fit;
// numbers never are. Control characters are shown escaped. Each line, the last too, ends with a newline. Rows
// may be shorter than the header; throws std::invalid_argument if one is longer.
std::string render_text_table(const std::vector<std::string>& header,
                              const std::vector<std::vector<std::string>>& rows, std::size_t max_width);

// The comparison of the last stage of a study that has variants (or of `stage`): per variant accuracy, macro
// precision, macro recall and macro F1 as mean +- standard deviation over seeds (in %), difference of macro
// F1 to the baseline, jobs succeeded of all; with notes below (jobs not done, failed jobs, collapsed runs,
// mixed device classes, leaks between parts). `max_width`: terminal columns; 0 shortens nothing.
// json: an object with study, stage, rows (as in the view `comparison`) and notes; csv: the rows of that
// view. `metrics`: other columns than those that the stage's table has, by name; json and csv then have the rows of the view
// `metric_comparison`. Throws UserError if there is no such study, stage or metric, with the nearest name.
std::string render_comparison(SQLite::Database& database, const std::string& study,
                              const std::optional<std::string>& stage, std::size_t max_width,
                              OutputFormat format = OutputFormat::table,
                              const std::vector<std::string>& metrics = {});

// Names of all studies in the database, newest first.
std::vector<std::string> study_names(SQLite::Database& database);

// All studies with their stages and how many jobs are in which state.
std::string render_study_status(SQLite::Database& database, std::size_t max_width,
                                OutputFormat format = OutputFormat::table);

// One read-only SQL statement as a table, a JSON array of objects, or CSV with a header line. A table shows
// NULL as NULL, and on a terminal too narrow for its columns each row as a block of "column  value" lines.
// Throws UserError with SQLite's message (and the nearest name) if it is no valid query, would write, or is
// more than one statement.
std::string render_query(SQLite::Database& database, const std::string& sql, std::size_t max_width,
                         OutputFormat format = OutputFormat::table);

}  // namespace orchestrate
